"""The request we accept, as types. `validation.py` makes them of what comes in at the doors."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from model.records import plain

INT32_MAX = 2**31 - 1  # HubSpot's description types both numbers as int32
MAX_INPUTS = 500  # ours: HubSpot documents no maximum; a request this size still fits one ledger item
DEFAULT_PORTAL = "default"

LimitKey = tuple[str, int]  # (category, typeId): what names one limit within a portal and pair


class Category(StrEnum):
    """Who defined an association type. A type id is unique only within (from, to, category)."""

    HUBSPOT_DEFINED = "HUBSPOT_DEFINED"
    USER_DEFINED = "USER_DEFINED"
    INTEGRATOR_DEFINED = "INTEGRATOR_DEFINED"
    WORK = "WORK"


@dataclass(frozen=True, slots=True)
class LimitInput:
    """One limit asked for: at most `max_to_object_ids` target records for each source record."""

    category: Category
    type_id: int
    max_to_object_ids: int

    @property
    def key(self) -> LimitKey:
        return (self.category.value, self.type_id)

    def as_json(self) -> dict[str, Any]:
        """As HubSpot's batch create and our envelope spell it."""
        return {"category": self.category.value, "typeId": self.type_id, "maxToObjectIds": self.max_to_object_ids}


@dataclass(frozen=True, slots=True)
class Envelope:
    """One demand to set limits on one pair of one portal, as in SQS bodies, schedule inputs and files."""

    portal: str
    from_object_type: str
    to_object_type: str
    inputs: tuple[LimitInput, ...]
    idempotency_key: str | None = None
    requested_by: str | None = None

    def as_json(self) -> Any:
        """As it is written into a message or a schedule; what is not known is left out."""
        return plain(self)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a request: where (`inputs[0].typeId`, or empty for the whole) and what to do about it."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


class ContractError(ValueError):
    """A request that can never be run as it is. `problems` holds every bad field, not only the first."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems
