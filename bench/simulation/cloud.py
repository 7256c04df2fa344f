"""What AWS does between a message and a function, as far as its documentation says so; times are in seconds."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import exp

from bench.simulation.portals import Message

# Lambda Developer Guide, "Configuring scaling behavior for SQS event source mappings"
FIRST_BATCHES = 5
MORE_BATCHES_PER_SECOND = 300 / 60
# SQS Developer Guide, "How Amazon SQS fair queues work": who has more than a tenth of what is in flight, and at least
# 30 messages, or more than a tenth of the recent processing time, is served after all others.
NOISY_SHARE = 0.1
NOISY_IN_FLIGHT = 30
RECENT = 60.0  # seconds in which processing time is half forgotten: the guide says only "recent"
# DynamoDB Developer Guide, "DynamoDB on-demand capacity mode": twice the peak of before, at any time; a new table is
# ready for 4,000 write units a second. A higher peak counts half an hour later.
NEW_TABLE_WRITE_UNITS = 4_000.0
TABLE_QUOTA = 40_000.0  # "Quotas in Amazon DynamoDB": write units of one table, unless raised
NO_ROOM = 3.0  # write units
PEAK_COUNTS_AFTER = 1_800.0


class Queue:
    """A standard queue. `fair`: messages carry their portal as MessageGroupId, and noisy portals come last."""

    def __init__(self, *, fair: bool) -> None:
        self._fair = fair
        self._quiet: deque[Message] = deque()
        self._noisy: dict[str, deque[Message]] = {}
        self._waiting: dict[str, int] = defaultdict(int)
        self._in_flight: dict[str, int] = defaultdict(int)
        self._all_in_flight = 0
        self._processing: dict[str, _Decaying] = defaultdict(_Decaying)
        self._all_processing = _Decaying()
        self.visible = 0

    def put(self, message: Message) -> None:
        """A message becomes visible: it was sent, or its delay is over."""
        self._waiting[message.portal.name] += 1
        self.visible += 1
        self._quiet.append(message)

    def receive(self, most: int, now: float) -> list[Message]:
        """Up to `most` messages, the oldest first."""
        taken: list[Message] = []
        while len(taken) < most and (message := self._next(now)):
            name = message.portal.name
            self._waiting[name] -= 1
            self._in_flight[name] += 1
            self._all_in_flight += 1
            self.visible -= 1
            taken.append(message)
        return taken

    def release(self, messages: Iterable[Message], held: float, now: float) -> None:
        """Messages that were in flight for `held` seconds are deleted or hidden."""
        for message in messages:
            name = message.portal.name
            self._in_flight[name] -= 1
            self._all_in_flight -= 1
            self._processing[name].add(held, now)
            self._all_processing.add(held, now)

    def _next(self, now: float) -> Message | None:
        while self._quiet:
            message = self._quiet.popleft()
            if not (self._fair and self._is_noisy(message.portal.name, now)):
                return message
            self._noisy.setdefault(message.portal.name, deque()).append(message)
        if not self._noisy:
            return None
        # Of several, the one with the fewest messages in flight.
        name = min(self._noisy, key=lambda noisy: (self._in_flight[noisy], noisy))
        message = self._noisy[name].popleft()
        if not self._noisy[name]:
            del self._noisy[name]
        return message

    def _is_noisy(self, name: str, now: float) -> bool:
        if name in self._noisy:  # until its backlog is gone
            return True
        in_flight = self._in_flight[name]
        if in_flight >= NOISY_IN_FLIGHT and in_flight > NOISY_SHARE * self._all_in_flight:
            return True
        recent = self._all_processing.at(now)
        return recent > 0 and self._processing[name].at(now) > NOISY_SHARE * recent


@dataclass
class _Decaying:
    value: float = 0.0
    since: float = 0.0

    def at(self, now: float) -> float:
        return self.value * exp(-(now - self.since) * 0.693 / RECENT)

    def add(self, more: float, now: float) -> None:
        self.value, self.since = self.at(now) + more, now


@dataclass
class SourceMapping:
    """The event source mapping: how many batches may be with the function at once."""

    maximum_concurrency: int
    _busy_since: float | None = None

    def allowed(self, now: float) -> int:
        """Of batches, now that there are messages."""
        if self._busy_since is None:
            self._busy_since = now
        grown = FIRST_BATCHES + int((now - self._busy_since) * MORE_BATCHES_PER_SECOND)
        return min(self.maximum_concurrency, grown)

    def idle(self) -> None:
        """There are no messages: it starts small again."""
        self._busy_since = None


@dataclass
class Table:
    """On-demand writes. One beyond the capacity waits for it, as the SDK's retries would in the best case.

    It is told of writes in any order, because an invocation is worked out as a whole when it begins.
    """

    capacity: float = NEW_TABLE_WRITE_UNITS
    units: float = 0.0
    seconds: dict[int, float] = field(default_factory=lambda: defaultdict(float))  # units by second
    _grows_at: float | None = None

    def write(self, units: float, now: float) -> float:
        """When the table has taken a write of so many units."""
        if self._grows_at is None:
            self._grows_at = now + PEAK_COUNTS_AFTER
        elif now >= self._grows_at:
            self.capacity = min(TABLE_QUOTA, max(self.capacity, 2 * self.peak))
            self._grows_at = now + PEAK_COUNTS_AFTER
        second = int(now)
        while self.seconds[second] + units > self.capacity:
            second += 1
        self.seconds[second] += units
        self.units += units
        return max(now, float(second))

    @property
    def full(self) -> int:
        """Seconds in which there was no room for another request's writes."""
        return sum(units > self.capacity - NO_ROOM for units in self.seconds.values())

    @property
    def peak(self) -> float:
        """The most units in one second."""
        return max(self.seconds.values(), default=0.0)


class Containers:
    """Warm execution environments, the last used first, each with what it remembers."""

    def __init__(self, cold_start: float) -> None:
        self._cold_start = cold_start
        self._warm: list[dict[str, float]] = []

    def take(self) -> tuple[dict[str, float], float]:
        """The memory of an environment, and the seconds it takes to start it."""
        return (self._warm.pop(), 0.0) if self._warm else ({}, self._cold_start)

    def give_back(self, memory: dict[str, float]) -> None:
        self._warm.append(memory)
