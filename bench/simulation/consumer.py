"""One invocation of the consumer in virtual time: take pairs, claim, plan, call, settle and give the pairs back, by the
rules of the service itself.

What is planned is `plan`'s; what a status asks for, and when a request is tried again, is the retry policy's. Only
what things take is the model's.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, timedelta

from aws.secrets_manager import MEMORY
from batch_create.authorised_call import LONGEST_SLOT_WAIT
from batch_create.handler import PAIRS_TOGETHER
from batch_create.plan import plan, round_robin
from batch_create.read_back import PAUSE
from batch_create.sending import SENDS
from batch_create.wait_budget import CALL_SECONDS, LONGEST_WAIT
from bench.simulation.hubspot import answer
from bench.simulation.model import Model
from bench.simulation.portals import START, Message, Portal
from consumer import RESERVE
from hubspot_api.retry_policy import not_before
from model.errors import HubSpotFailure, QuotaExhausted, Uncertain
from model.pair import Pair
from quota.bucket import HANDFUL
from runtime.concurrency import MAX_THREADS

APPLIED = 0.5  # chance that what was answered 5xx has been applied all the same; nobody knows

Key = tuple[str, Pair]  # the portal's name, and what its calls are for


@dataclass(frozen=True)
class Ended:
    """When an invocation is over, what it has done and when, and what comes back and when."""

    at: float
    done: list[tuple[Message, float]]
    deferred: list[tuple[Message, float]]


class Invocation:
    """A batch of messages in a function that remembers `secrets`: by portal, when they were read."""

    def __init__(self, model: Model, secrets: dict[str, float]) -> None:
        self._model = model
        self._secrets = secrets
        self._down: dict[str, tuple[float, HubSpotFailure]] = {}  # from when on
        self._slots: dict[str, list[float]] = defaultdict(list)
        self._ahead: Counter[str] = Counter()
        self._waits_left = LONGEST_WAIT
        self._deadline = 0.0

    def run(self, messages: list[Message], start: float) -> Ended:
        """Work that begins at a moment."""
        self._deadline = start + self._model.timeout - RESERVE
        ended = Ended(start, [], [])
        groups: dict[Key, list[Message]] = defaultdict(list)
        for message in messages:
            groups[message.portal.name, message.pair].append(message)
        self._ahead = Counter(portal for portal, _ in groups)
        threads = [self._claim(messages, self._take(len(groups), start))] * min(MAX_THREADS, len(groups))
        for key in round_robin(groups):
            heapq.heappush(threads, self._run_pair(groups[key], heapq.heappop(threads), ended))
        # However many threads wait, the processor has done the work of one after the other.
        return replace(ended, at=max(*threads, start + len(messages) * 2 * self._model.work))

    def _take(self, pairs: int, now: float) -> float:
        """Take the pairs, many in one write, as far as they go together. No other invocation has them: one that would
        wait for them is not modelled."""
        for number in range(pairs):
            if number % (MAX_THREADS * PAIRS_TOGETHER) == 0:
                now = self._written(self._model.units.lease, now)
            else:
                self._model.table.write(self._model.units.lease, now)
        return now

    def _claim(self, messages: list[Message], now: float) -> float:
        for number, message in enumerate(messages):
            message.runs += 1
            now += self._model.work
            if number % MAX_THREADS == 0:
                now = self._written(self._model.units.claim, now)
            else:
                self._model.table.write(self._model.units.claim, now)
        return now

    def _run_pair(self, group: list[Message], now: float, ended: Ended) -> float:
        """The messages of one pair, on their way to being settled."""
        self._waits_left = LONGEST_WAIT
        portal, began = group[0].portal, now
        failure: HubSpotFailure | None = None
        send = True
        if any(message.doubtful for message in group):
            now, failure, send = self._look_up(portal, now)
        if send:
            demands = [demand for message in group for demand in message.demands()]
            for _ in plan(demands, self._model.batch_size):
                now, failed = self._make(portal, now)
                failure = failed or failure
        self._model.spent.seconds["calls"] += now - began
        for message in group:
            now = self._written(self._model.units.settle, now + self._model.work)
            message.doubtful = isinstance(failure, Uncertain)
            if failure is None:
                ended.done.append((message, now))
            else:
                ended.deferred.append((message, self._again(failure, message, now)))
        self._model.table.write(self._model.units.lease, now)  # the pair is given back with the settlements
        return now

    def _written(self, units: float, now: float) -> float:
        taken = self._model.table.write(units, now)
        self._model.spent.seconds["ledger"] += taken - now + self._model.durations.dynamodb
        return taken + self._model.durations.dynamodb

    def _again(self, failure: HubSpotFailure, message: Message, now: float) -> float:
        moment = START + timedelta(seconds=now)
        again = not_before(failure, message.runs, moment, UTC, self._model.random.random())
        return (again - START).total_seconds()

    # ----------------------------------------------------------------------------------------------------- the calls
    def _make(self, portal: Portal, now: float) -> tuple[float, HubSpotFailure | None]:
        """One planned call, sent again where reading back allows it, as batch_create/sending.py does."""
        failure: HubSpotFailure | None = None
        for _ in range(SENDS):
            now, failure = self._call(portal, now)
            if not isinstance(failure, Uncertain):
                return now, failure
            now, failure, send = self._look_up(portal, now)
            if not send:
                return now, failure
        return now, Uncertain("sent often enough in this run")

    def _look_up(self, portal: Portal, now: float) -> tuple[float, HubSpotFailure | None, bool]:
        """Read back what may have been sent: whether it is to be sent again, or else what it waits for, if anything."""
        for last in (False, True):
            now, failure = self._call(portal, now)
            if failure:
                return now, _in_doubt(failure), False
            if last:
                return now, None, True
            if self._model.random.random() < APPLIED:
                return now, None, False
            if not self._waited(PAUSE, now):
                return now, Uncertain("it is not there yet", retry_after=PAUSE), False
            now += PAUSE
        raise AssertionError("the last reading has returned")

    def _waited(self, seconds: float, now: float) -> bool:
        if seconds > min(self._waits_left, self._deadline - now - CALL_SECONDS):
            return False
        self._waits_left -= seconds
        return True

    def _call(self, portal: Portal, now: float) -> tuple[float, HubSpotFailure | None]:
        """One HTTP call, once the portal's secret is known and its quota has room; and a 401's one more."""
        since, down = self._down.get(portal.name, (now, None))
        if down and since <= now:
            return now, down
        known = self._secrets.get(portal.name)
        if known is None or now - known >= MEMORY.total_seconds():
            now = self._secret(portal, now)
        now, failure = self._turn(portal, now)
        if failure is None:
            now, failure = self._answer(portal, now)
            if failure and failure.http_status == 401:
                now, late = self._turn(portal, self._secret(portal, now))
                now, failure = (now, late) if late else self._answer(portal, now)
        if failure and failure.portal_wide:
            self._down.setdefault(portal.name, (now, failure))
        return now, failure

    def _secret(self, portal: Portal, now: float) -> float:
        self._secrets[portal.name] = now
        self._model.spent.secrets[int(now)] += 1
        return now + self._model.durations.secrets_manager

    def _turn(self, portal: Portal, now: float) -> tuple[float, HubSpotFailure | None]:
        """Wait for a slot. A handful of them is taken with one write, evenly spread as the portal's pace allows."""
        slots = self._slots[portal.name]
        if portal.stopped_until > now:
            return now, _stopped(portal.stopped_until - now)
        if not slots:
            until = min(self._deadline - CALL_SECONDS, now + LONGEST_SLOT_WAIT.total_seconds())
            free = portal.slots(max(1, min(HANDFUL, self._ahead[portal.name])), now)
            if free[0] > until:
                return now, QuotaExhausted("used up", retry_after=free[0] - now, portal_wide=True)
            portal.take(free)
            slots.extend(free)
            now = self._written(self._model.units.bucket, now)
        slot = slots.pop(0)
        self._ahead[portal.name] -= 1
        return max(now, slot), None

    def _answer(self, portal: Portal, now: float) -> tuple[float, HubSpotFailure | None]:
        self._model.spent.calls += 1
        return answer(portal, now, self._deadline, self._model)


def _stopped(seconds: float) -> HubSpotFailure:
    return QuotaExhausted("the day's calls are used up", retry_after=seconds, daily=True, portal_wide=True)


def _in_doubt(failure: HubSpotFailure) -> Uncertain:
    return Uncertain(
        str(failure),
        retry_after=failure.retry_after,
        daily=failure.daily,
        portal_wide=failure.portal_wide,
    )
