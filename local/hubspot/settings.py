"""Switches of the stand-in: one for each behaviour HubSpot leaves undocumented, and the limits on calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Self

from voluptuous import Invalid, Schema

from infra.checks import Number, names, record
from model.validation import check

INT32_MAX = 2**31 - 1
# Well above the 40 s that HubSpot's reads have been seen to lag; bounded so that old values can be dropped.
MAX_READ_LAG_SECONDS = 300


class ControlRecord:
    """Base of what the control interface accepts, all of it frozen dataclasses."""

    @classmethod
    def of(cls, document: object) -> Self:
        """Out of JSON: camelCase, strictly typed. Raises ContractError with every bad field and unknown key."""
        kind: Any = cls  # which mypy takes for nothing that a cache could be of
        made: Self = check(_door(kind), document)
        return made

    def as_json(self) -> dict[str, Any]:
        """As it is ordered, with every field."""
        told = {name: getattr(self, field) for name, field in names(type(self)).items()}
        return {name: each.as_json() if isinstance(each, ControlRecord) else each for name, each in told.items()}


@cache
def _door(kind: Any) -> Schema:
    return Schema(record(kind, "a field of this"))


@dataclass(frozen=True, kw_only=True)
class Settings(ControlRecord):
    """All switches. The defaults are HubSpot's documented behaviour, or else the likelier one."""

    existing_limit: Literal["overwrite", "refuse"] = "overwrite"
    update_missing: Literal["create", "refuse"] = "create"
    bad_input: Literal["alone", "batch"] = "alone"
    duplicate_input: Literal["apply", "refuse"] = "apply"
    empty_inputs: Literal["refuse", "accept"] = "refuse"
    label_equals_object: Literal["allow", "refuse"] = "allow"
    unset_limit: Literal["absent", "null", "unlimited"] = "absent"
    # The published description of 2026-03 says 201, the documentation page 200.
    success_status: Literal[200, 201] = 201
    purge_status: Literal[200, 204] = 204
    error_context: Literal["type", "none"] = "type"
    scope_context: Literal["map", "string"] = "map"
    rate_limit_headers: Literal["send", "omit"] = "send"

    minimum_limit: Annotated[int, Number(-INT32_MAX, INT32_MAX)] = 1
    # HubSpot's user interface accepts up to 10,000.
    ceiling: Annotated[int, Number(1, INT32_MAX)] = 10_000
    # The smallest maximum among HubSpot's neighbouring batch endpoints.
    maximum_inputs: Annotated[int, Number(1, 100_000)] = 100

    # HubSpot's limits for an Enterprise account. Without a number the operations are exempt, as its published
    # description marks them.
    ten_secondly_limit: Annotated[int, Number(0)] | None = 190
    daily_limit: Annotated[int, Number(0)] = 1_000_000
    # Where the account's midnight is, at which the daily quota resets. All UTC offsets lie between these two.
    utc_offset_minutes: Annotated[int, Number(-12 * 60, 14 * 60)] = 0

    read_lag_seconds: Annotated[float, Number(0, MAX_READ_LAG_SECONDS, fraction=True)] = 0
    # Whether each read shows either the present or what was true before the lag, as HubSpot's have been seen to.
    read_flaps: bool = False
    latency_ms: Annotated[int, Number(0, 600_000)] = 0

    def __post_init__(self) -> None:
        if self.minimum_limit > self.ceiling:
            raise Invalid("minimumLimit must not be above ceiling")

    def changed(self, changes: Mapping[str, object]) -> Settings:
        """These settings with some replaced, keys as in JSON. Raises ContractError on a bad one."""
        return Settings.of({**self.as_json(), **changes})
