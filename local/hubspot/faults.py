"""Ordered faults: which calls they spoil, how often, and how."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Annotated, Literal

from pydantic import Field, field_validator

from local.hubspot.catalogue import object_type_id
from local.hubspot.effects import AnyEffect
from local.hubspot.settings import ControlModel

Operation = Literal["create", "update", "purge", "read", "labels"]


class FaultOrder(ControlModel):
    """A fault as it is ordered.

    It spoils calls that match those of `operation`, `fromObjectType`, `toObjectType` and `token` (its name)
    that are given: the next `times` of them, or each with probability `share` drawn from `seed`, or, with
    both, the next `times` drawn so. With neither it spoils one.
    """

    operation: Operation | Literal["any"] = "any"
    from_object_type: str | None = None
    to_object_type: str | None = None
    token: str | None = None
    times: Annotated[int, Field(ge=1)] | None = None
    share: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: int = 0
    effect: Annotated[AnyEffect, Field(discriminator="kind")]

    @field_validator("from_object_type", "to_object_type")
    @classmethod
    def _canonical(cls, written: str | None) -> str | None:
        canonical = None if written is None else object_type_id(written)
        if written is not None and canonical is None:
            raise ValueError(f"unknown object type {written!r}")
        return canonical


@dataclass(frozen=True)
class Target:
    """The call a fault may spoil, its object types canonical; None where the call names none."""

    operation: str
    from_object_type: str | None
    to_object_type: str | None
    token: str


class Fault:
    """An order under way."""

    def __init__(self, number: int, order: FaultOrder) -> None:
        self.number = number
        self.order = order
        self.remaining = 1 if order.times is None and order.share is None else order.times
        self.struck = 0
        self._random = Random(order.seed)

    def spoils(self, target: Target) -> bool:
        """Whether this call is spoiled, which is then counted. Each matching call takes one random number."""
        if self.remaining == 0 or not self._matches(target):
            return False
        if self.order.share is not None and self._random.random() >= self.order.share:
            return False
        self.struck += 1
        if self.remaining is not None:
            self.remaining -= 1
        return True

    def described(self) -> dict[str, object]:
        """The order, its number, how often it has struck, and how often it still will (None: without end)."""
        order = self.order.model_dump(by_alias=True, exclude_none=True)
        return {"fault": self.number, **order, "struck": self.struck, "remaining": self.remaining}

    def _matches(self, target: Target) -> bool:
        order = self.order
        return (
            order.operation in ("any", target.operation)
            and order.from_object_type in (None, target.from_object_type)
            and order.to_object_type in (None, target.to_object_type)
            and order.token in (None, target.token)
        )


class Faults:
    """The ordered faults, oldest first. A call is spoiled by the first that takes it."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._ordered = 0

    def add(self, order: FaultOrder) -> Fault:
        """Order a fault."""
        self._ordered += 1
        fault = Fault(self._ordered, order)
        self._faults.append(fault)
        return fault

    def all(self) -> list[Fault]:
        """Every fault ordered since the last clearing, spent ones too."""
        return list(self._faults)

    def clear(self) -> None:
        """Forget all faults."""
        self._faults.clear()

    def draw(self, target: Target) -> Fault | None:
        """The fault that spoils this call, if one does."""
        return next((fault for fault in self._faults if fault.spoils(target)), None)
