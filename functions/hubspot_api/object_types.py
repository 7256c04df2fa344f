"""What object type a name stands for: by HubSpot's own names, by memory, or by asking HubSpot."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Generic, TypeVar

from model.errors import HubSpotFailure, LedgerUnavailable, Refused
from model.object_types import object_type_id
from runtime.telemetry import logger

if TYPE_CHECKING:
    from hubspot_api.ports import TypeCallPort, TypeMemoryPort

Value = TypeVar("Value")
Name = tuple[str, str]  # a portal, and a name in it as spelt

MOST = 1_000  # names that an environment remembers: callers choose them, so there may be any number
KEPT = timedelta(hours=1)
REFUSAL_KEPT = timedelta(seconds=30)  # a type can be made at any time; until then a burst of requests asks once
NOT_FOUND = 404


class ObjectTypes:
    """The ids of object types. `calls` makes what asks HubSpot until a deadline, with tokens and the shared quota."""

    def __init__(
        self, memory: TypeMemoryPort, calls: Callable[[datetime], TypeCallPort], clock: Callable[[], datetime]
    ) -> None:
        self._memory = memory
        self._calls = calls
        self._clock = clock
        self._ids = _Recent[str](KEPT)
        self._refusals = _Recent[Refused](REFUSAL_KEPT)

    def known(self, portal: str, name: str) -> str | None:
        """The id of the type that a name stands for in a portal, without asking HubSpot. None where it is not known, or
        where the ledger cannot be reached."""
        now = self._clock()
        if type_id := object_type_id(name) or self._ids.get((portal, name), now):
            return type_id
        try:
            type_id = self._memory.recall(portal, name, now)
        except LedgerUnavailable as error:
            logger.warning("object type not recalled", portal=portal, error=str(error))
            return None
        if type_id:
            self._ids.put((portal, name), type_id, now)
        return type_id

    def resolve(self, portal: str, name: str, seconds: float) -> str:
        """The id, from HubSpot where it is not known, in at most `seconds`. Raises Refused where HubSpot does not know
        the name, and the other failures of `model.errors`."""
        if type_id := self.known(portal, name):
            return type_id
        now = self._clock()
        if refusal := self._refusals.get((portal, name), now):
            raise replace(refusal)  # a new one: threads that raise the same one would mix up its traceback
        try:
            type_id = self._calls(now + timedelta(seconds=seconds)).object_type(portal, name)
        except Refused as failure:
            if failure.http_status == NOT_FOUND:
                failure.message = f"HubSpot does not know the object type {name}"
            self._refusals.put((portal, name), replace(failure), self._clock())
            raise
        now = self._clock()
        self._ids.put((portal, name), type_id, now)
        try:
            self._memory.remember(portal, name, type_id, now)
        except LedgerUnavailable as error:
            logger.warning("object type not remembered", portal=portal, error=str(error))
        return type_id

    def asking(self, seconds: float) -> Callable[[str, str], str | None]:
        """`known`, but asking HubSpot, for all names together at most `seconds`. None where HubSpot does not tell."""
        end = self._clock() + timedelta(seconds=seconds)

        def ask(portal: str, name: str) -> str | None:
            try:
                return self.resolve(portal, name, (end - self._clock()).total_seconds())
            except HubSpotFailure as failure:
                logger.warning("object type not resolved", portal=portal, object_type=name, error=str(failure))
                return None

        return ask


class _Recent(Generic[Value]):
    """What was put in within a time, MOST values at the most. Threads may share it."""

    def __init__(self, kept: timedelta) -> None:
        self._kept = kept
        self._values: OrderedDict[Name, tuple[datetime, Value]] = OrderedDict()

    def get(self, name: Name, now: datetime) -> Value | None:
        until, value = self._values.get(name, (now, None))
        return value if now < until else None

    def put(self, name: Name, value: Value, now: datetime) -> None:
        self._values.pop(name, None)  # so that it becomes the youngest
        self._values[name] = (now + self._kept, value)
        if len(self._values) > MOST:
            self._values.popitem(last=False)
