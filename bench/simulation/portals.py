"""Portals with their quotas and their faults, and what is asked of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from math import ceil
from random import Random

from batch_create.plan import Demand
from model.contract import Category, LimitInput
from model.pair import Address, Pair
from model.records import milliseconds

START = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)  # any working day
VERSION = "2026-03"  # of the API
WINDOW = 10.0  # seconds of HubSpot's rolling quota
# HubSpot's usage limits: calls per window of Free and Starter, Professional and Enterprise, and with the API add-on.
# How a fleet is made up of them is an assumption, as are the shares below.
QUOTAS = {100: 0.6, 190: 0.3, 250: 0.1}
SHARED = 0.2  # of portals, in which other apps take
TAKEN = 1 / 3  # of the quota


class Fault(Enum):
    NONE = auto()
    TOKEN = auto()  # every call is answered 401
    DOWN = auto()  # no call is answered at all
    DAILY = auto()  # every call is answered 429, the day's quota being used up


@dataclass(slots=True)
class Portal:
    """One account. `pace` is in calls per second; the moments at which calls may begin are numbered, and `taken` once.

    In any order, because an invocation is worked out as a whole when it begins.
    """

    name: str
    pace: float
    fault: Fault = Fault.NONE
    taken: set[int] = field(default_factory=set, repr=False)
    stopped_until: float = 0.0
    calls: int = 0

    def slots(self, number: int, now: float) -> list[float]:
        """The next moments that nobody has."""
        found: list[float] = []
        slot = ceil(now * self.pace)
        while len(found) < number:
            if slot not in self.taken:
                found.append(slot / self.pace)
            slot += 1
        return found

    def take(self, slots: list[float]) -> None:
        self.taken.update(round(slot * self.pace) for slot in slots)


@dataclass(slots=True)
class Message:
    """One request of one pair on the queue. `doubtful`: an earlier run has sent it without a clear answer."""

    id: str
    portal: Portal
    pair: Pair
    inputs: tuple[LimitInput, ...]
    sent: float
    runs: int = 0
    doubtful: bool = False
    done: float | None = None

    def demands(self) -> list[Demand]:
        """Its inputs, as `plan` takes them."""
        age = milliseconds(START + timedelta(seconds=self.sent)), self.id
        address = Address(VERSION, self.pair.from_type, self.pair.to_type)
        return [Demand(self.id, age, self.portal.name, self.pair, address, item) for item in self.inputs]


@dataclass(frozen=True)
class Faults:
    """Shares of portals with a fault for as long as the simulation lasts, and of calls answered 5xx."""

    token: float = 0.01
    down: float = 0.001
    daily: float = 0.005
    calls_5xx: float = 0.002


HEALTHY = Faults(0, 0, 0, 0)


def fleet(number: int, faults: Faults, head_room: float, random: Random) -> list[Portal]:
    """So many portals. `head_room` is the share of each quota that is left alone."""
    portals = []
    for index in range(number):
        (quota,) = random.choices(list(QUOTAS), list(QUOTAS.values()))
        others = TAKEN if random.random() < SHARED else 0.0
        pace = quota * (1 - head_room) * (1 - others) / WINDOW
        portals.append(Portal(f"portal-{index:05d}", pace, _fault(faults, random.random())))
    return portals


def _fault(faults: Faults, chance: float) -> Fault:
    for fault, share in ((Fault.TOKEN, faults.token), (Fault.DOWN, faults.down), (Fault.DAILY, faults.daily)):
        if chance < share:
            return fault
        chance -= share
    return Fault.NONE


class Asking:
    """Makes messages. All share the same pairs and limits, as a file that is applied to every portal does."""

    def __init__(self, pairs: int, limits: int) -> None:
        self._pairs = [Pair(f"2-{number}", "0-1") for number in range(pairs)]
        self._inputs = tuple(
            LimitInput(category=Category.USER_DEFINED, type_id=number + 1, max_to_object_ids=5)
            for number in range(limits)
        )
        self._number = 0

    def message(self, portal: Portal, pair: int, sent: float) -> Message:
        """All limits of one pair, sent at a moment."""
        self._number += 1
        return Message(f"m-{self._number}", portal, self._pairs[pair % len(self._pairs)], self._inputs, sent)

    def rollout(self, portals: list[Portal], per_second: float, *, by_portal: bool) -> Iterator[Message]:
        """A message for each pair of each portal, one portal after the other or one pair after the other."""
        places = (
            ((portal, pair) for portal in portals for pair in range(len(self._pairs)))
            if by_portal
            else ((portal, pair) for pair in range(len(self._pairs)) for portal in portals)
        )
        for number, (portal, pair) in enumerate(places):
            yield self.message(portal, pair, number / per_second)
