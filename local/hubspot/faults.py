"""Ordered faults: which calls they spoil, how often, and how."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from voluptuous import Invalid

from infra.checks import Number
from local.hubspot.catalogue import object_type_id, written_object_type
from local.hubspot.effects import AnyEffect, any_effect
from local.hubspot.settings import ControlRecord

if TYPE_CHECKING:
    from collections.abc import Callable

AssociationOperation = Literal["create", "update", "purge", "read", "labels"]
Operation = Literal[AssociationOperation, "token", "account", "schema"]
# `any` is any of these: who orders faults of the calls on associations does not mean those around them.
ASSOCIATION_OPERATIONS = frozenset(get_args(AssociationOperation))
_OF_BATCHES = frozenset({"incomplete", "noResults", "echo"})


@dataclass(frozen=True, kw_only=True)
class FaultOrder(ControlRecord):
    """A fault as it is ordered.

    It spoils calls that match those of `operation`, `fromObjectType`, `toObjectType` and `token` (its name)
    that are given: the next `times` of them, or each with probability `share` drawn from `seed`, or, with
    both, the next `times` drawn so. With neither it spoils one.
    """

    operation: Literal[Operation, "any"] = "any"
    from_object_type: Annotated[str, written_object_type] | None = None
    to_object_type: Annotated[str, written_object_type] | None = None
    token: str | None = None
    times: Annotated[int, Number(1)] | None = None
    share: Annotated[float, Number(above=0, most=1, fraction=True)] | None = None
    seed: Annotated[int, Number()] = 0
    effect: Annotated[AnyEffect, any_effect]

    def __post_init__(self) -> None:
        if self.operation == "any" or self.operation in ASSOCIATION_OPERATIONS:
            return
        if self.from_object_type or self.to_object_type:
            raise Invalid(f"{self.operation} has no object types")
        if self.operation == "token" and self.token:
            raise Invalid("operation token takes no access token")
        if self.effect.kind in _OF_BATCHES:
            raise Invalid(f"{self.operation} is no batch, and {self.effect.kind} is an effect on batches")
        if self.operation == "token" and self.effect.kind == "delay" and self.effect.land_ms:
            raise Invalid("a token that is answered is good, so landMs needs an effect that answers none, such as drop")


@dataclass(frozen=True)
class Target:
    """The call a fault may spoil, its object types canonical; None where the call has none.

    `type_id` gives the canonical id of a name in the account that is called; None if it is unknown there.
    """

    operation: str
    from_object_type: str | None
    to_object_type: str | None
    token: str | None
    type_id: Callable[[str], str | None] = object_type_id


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

    def described(self) -> dict[str, Any]:
        """The order, its number, how often it has struck, and how often it still will (None: without end)."""
        order = _given(self.order.as_json()) | {"effect": _given(self.order.effect.as_json())}
        return {"fault": self.number, **order, "struck": self.struck, "remaining": self.remaining}

    def _matches(self, target: Target) -> bool:
        order = self.order
        return (
            self._covers(target.operation)
            and _names(order.from_object_type, target.from_object_type, target)
            and _names(order.to_object_type, target.to_object_type, target)
            and order.token in (None, target.token)
        )

    def _covers(self, operation: str) -> bool:
        if self.order.operation == "any":
            return operation in ASSOCIATION_OPERATIONS
        return operation == self.order.operation


class Faults:
    """The ordered faults, oldest first. A call is spoiled by the first that takes it."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._unspent: list[Fault] = []
        self._ordered = 0

    def add(self, order: FaultOrder) -> Fault:
        """Order a fault."""
        self._ordered += 1
        fault = Fault(self._ordered, order)
        self._faults.append(fault)
        self._unspent.append(fault)
        return fault

    def all(self) -> list[Fault]:
        """Every fault ordered since the last clearing, spent ones too."""
        return list(self._faults)

    def clear(self) -> None:
        """Forget all faults."""
        self._faults.clear()
        self._unspent.clear()

    def draw(self, target: Target) -> Fault | None:
        """The fault that spoils this call, if one does."""
        drawn = next((fault for fault in self._unspent if fault.spoils(target)), None)
        if drawn and drawn.remaining == 0:
            self._unspent.remove(drawn)
        return drawn


def _names(ordered: str | None, called: str | None, target: Target) -> bool:
    return ordered is None or (called is not None and target.type_id(ordered) == called)


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
