"""Switches of the stand-in: one for each behaviour HubSpot leaves undocumented, and the limits on calls."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

INT32_MAX = 2**31 - 1
# Well above the 40 s that HubSpot's reads have been seen to lag; bounded so that old values can be dropped.
MAX_READ_LAG_SECONDS = 300


class ControlModel(BaseModel):
    """Base of what the control interface accepts: camelCase, strictly typed, unknown keys refused."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", strict=True, frozen=True)


class Settings(ControlModel):
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

    minimum_limit: Annotated[int, Field(ge=-INT32_MAX, le=INT32_MAX)] = 1
    # HubSpot's user interface accepts up to 10,000.
    ceiling: Annotated[int, Field(ge=1, le=INT32_MAX)] = 10_000
    # The smallest maximum among HubSpot's neighbouring batch endpoints.
    maximum_inputs: Annotated[int, Field(ge=1, le=100_000)] = 100

    # HubSpot's limits for an Enterprise account. Without a number the operations are exempt, as its published
    # description marks them.
    ten_secondly_limit: Annotated[int, Field(ge=0)] | None = 190
    daily_limit: Annotated[int, Field(ge=0)] = 1_000_000
    # Where the account's midnight is, at which the daily quota resets. All UTC offsets lie between these two.
    utc_offset_minutes: Annotated[int, Field(ge=-12 * 60, le=14 * 60)] = 0

    read_lag_seconds: Annotated[float, Field(ge=0, le=MAX_READ_LAG_SECONDS)] = 0
    latency_ms: Annotated[int, Field(ge=0, le=600_000)] = 0

    @model_validator(mode="after")
    def _range_is_not_empty(self) -> Self:
        if self.minimum_limit > self.ceiling:
            raise ValueError("minimumLimit must not be above ceiling")
        return self

    def changed(self, changes: dict[str, object]) -> Settings:
        """These settings with some replaced, keys as in JSON. Raises ValidationError on a bad one."""
        return Settings.model_validate({**self.model_dump(by_alias=True), **changes})
