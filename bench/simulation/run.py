"""The one loop: messages arrive, batches of them are run, and what is deferred comes back."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from random import Random

from aws.sqs import LONGEST_VISIBILITY
from bench.simulation.cloud import NEW_TABLE_WRITE_UNITS, Containers, Queue, SourceMapping, Table
from bench.simulation.consumer import Ended, Invocation
from bench.simulation.model import Model, Spent
from bench.simulation.portals import Fault, Message

FULL = "functions"  # as many run as maximumConcurrency lets
GROWING = "growth"  # as many run as the event source mapping has grown to
MORE_BATCHES_LOOK = 0.2  # seconds: one more batch is allowed about that often


@dataclass(frozen=True)
class Deployment:
    """What a deployer decides (the first ones are settings of cdk.json) and what AWS and the code give."""

    maximum_concurrency: int = 5
    messages_per_invocation: int = 10
    batch_window: float = 0
    memory_mib: int = 512
    timeout: float = 60
    batch_size: int = 100
    fair: bool = False
    account_concurrency: int = 1_000  # Lambda's quota of a new account: "Lambda quotas"
    write_units: float = NEW_TABLE_WRITE_UNITS

    @property
    def most_at_once(self) -> int:
        """Functions that can run at the same time."""
        return min(self.maximum_concurrency, self.account_concurrency)


@dataclass
class Played:
    """What a simulation has come to. Times are in seconds from its beginning."""

    messages: list[Message] = field(default_factory=list)
    spent: Spent = field(default_factory=Spent)
    table: Table = field(default_factory=Table)
    most_at_once: int = 0
    ended: float = 0.0
    held_up: dict[str, float] = field(default_factory=lambda: defaultdict(float))  # seconds, by what was at its limit

    @property
    def done(self) -> list[Message]:
        return [message for message in self.messages if message.done is not None]

    @property
    def waiting(self) -> list[Message]:
        return [message for message in self.messages if message.done is None]


def play(
    messages: Iterable[Message],
    deployment: Deployment,
    seed: int,
    *,
    calls_5xx: float = 0.0,
    horizon: float = 86_400.0,
) -> Played:
    """Until every message of a portal without a fault is done, or to the horizon. `messages` come in time's order."""
    played = Played(table=Table(deployment.write_units))
    model = Model(
        timeout=deployment.timeout,
        memory_mib=deployment.memory_mib,
        batch_size=deployment.batch_size,
        calls_5xx=calls_5xx,
        table=played.table,
        random=Random(seed),
        spent=played.spent,
    )
    _Loop(played, model, deployment).run(messages, horizon)
    return played


class _Loop:
    def __init__(self, played: Played, model: Model, deployment: Deployment) -> None:
        self._played = played
        self._model = model
        self._deployment = deployment
        self._queue = Queue(fair=deployment.fair)
        self._mapping = SourceMapping(deployment.most_at_once)
        self._containers = Containers(model.durations.cold_start)
        self._events: list[tuple[float, int, Message | _Running | None]] = []
        self._numbers = count()
        self._running = 0
        self._looks_at: float | None = None
        self._oldest_visible = 0.0
        self._limit: str | None = None

    def run(self, messages: Iterable[Message], horizon: float) -> None:
        sending = iter(messages)
        upcoming = next(sending, None)
        healthy = 0
        while upcoming or (healthy and self._events):
            now = self._events[0][0] if self._events else horizon
            if upcoming and upcoming.sent <= now:
                now = upcoming.sent
                self._played.messages.append(upcoming)
                healthy += upcoming.portal.fault is Fault.NONE
                self._show(upcoming, now)
                upcoming = next(sending, None)
            else:
                event = heapq.heappop(self._events)[2]
                if isinstance(event, Message):
                    self._show(event, now)
                elif event:
                    healthy -= self._end(event, now)
                else:
                    self._looks_at = None
            if now > horizon:
                break
            if self._limit:
                self._played.held_up[self._limit] += now - self._played.ended
            self._played.ended = now
            self._limit = self._start(now)

    def _at(self, moment: float, event: Message | _Running | None) -> None:
        heapq.heappush(self._events, (moment, next(self._numbers), event))

    def _show(self, message: Message, now: float) -> None:
        if not self._queue.visible:
            self._oldest_visible = now
        self._queue.put(message)

    def _start(self, now: float) -> str | None:
        """Hand over batches, as many as may be run at once; what keeps others waiting, if any wait."""
        most = self._deployment.messages_per_invocation
        while self._queue.visible:
            if self._running >= self._mapping.allowed(now):
                if self._running >= self._deployment.most_at_once:
                    return FULL
                self._look(now + MORE_BATCHES_LOOK)
                return GROWING
            opens = self._oldest_visible + self._deployment.batch_window
            if self._queue.visible < most and now < opens:
                self._look(opens)
                return None
            batch = self._queue.receive(most, now)
            self._oldest_visible = now
            memory, cold = self._containers.take()
            ended = Invocation(self._model, memory).run(batch, now + cold)
            self._played.spent.seconds["all"] += ended.at - now
            self._played.spent.seconds["processor"] += len(batch) * 2 * self._model.work
            self._running += 1
            self._played.most_at_once = max(self._played.most_at_once, self._running)
            self._at(ended.at, _Running(ended, memory, now))
        self._mapping.idle()
        return None

    def _look(self, moment: float) -> None:
        if self._looks_at is None or moment < self._looks_at:
            self._looks_at = moment
            self._at(moment, None)

    def _end(self, running: _Running, now: float) -> int:
        """Delete what is done and hide what is deferred; how many were of portals without a fault."""
        ended = running.ended
        self._running -= 1
        self._containers.give_back(running.memory)
        batch = [message for message, _ in (*ended.done, *ended.deferred)]
        self._queue.release(batch, now - running.since, now)
        for message, at in ended.done:
            message.done = at
        for message, at in ended.deferred:
            self._at(max(now, min(at, now + LONGEST_VISIBILITY)), message)
        return sum(message.portal.fault is Fault.NONE for message, _ in ended.done)


@dataclass(frozen=True)
class _Running:
    ended: Ended
    memory: dict[str, float]
    since: float
