"""Many requests take the ledger few writes, and one that fails lets nothing be sent twice or called done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from aws.dynamodb import Change, Table
from batch_create.handler import run
from ledger.claim import ClaimStatus
from ledger.history import History
from ledger.leases import Leases, Wanted
from ledger.ledger import Ledger
from ledger.rebuild import Rebuild
from ledger.register import Register
from model.errors import LedgerUnavailable
from model.outcomes import Outcome, Status
from runtime.concurrency import MAX_THREADS
from tests.simulation.dynamo import Dynamo
from tests.support.fakes import (
    Clock,
    FakeHubSpot,
    in_memory,
    ports,
    request,
)
from tests.support.ledger import read


@pytest.mark.parametrize("number", [1, 3])
def test_without_the_ledger_nothing_is_sent(hubspot: FakeHubSpot, clock: Clock, number: int) -> None:
    dynamo: Any = Dynamo(lambda operation: "throttled", lambda: clock().timestamp(), 0)
    unreachable = Ledger(Table(dynamo, "outcomes"), timedelta(days=1))

    answers = run([request(f"m-{n}", (3, 5)) for n in range(number)], 30, ports(unreachable, hubspot, clock))

    assert {ran.claim_status for ran in answers} == {ClaimStatus.LEDGER_UNAVAILABLE}
    assert {ran.outcome.status for ran in answers} == {Status.DEFERRED}
    assert hubspot.calls == []


def test_what_could_not_be_settled_is_not_reported_as_done(
    ledger: Ledger, table: Table, hubspot: FakeHubSpot, clock: Clock
) -> None:
    class Forgetful(Ledger):
        def settle_many(self, settled: Sequence[tuple[Outcome, int]], also: Sequence[Change] = ()) -> list[bool]:
            return [False] * (len(settled) + len(also))

        def settle(self, outcome: Outcome, fence: int) -> None:
            raise LedgerUnavailable("throttled")

    forgetful = Forgetful(table, timedelta(days=1))
    (ran,) = run([request("m-1", (3, 5))], 30, ports(forgetful, hubspot, clock))
    assert ran.outcome.status is Status.DEFERRED

    clock.advance(60)
    (again,) = run([request("m-1", (3, 5))], 30, ports(ledger, hubspot, clock))
    assert again.outcome.status is Status.COMPLETE
    assert len(hubspot.created) == 1


class Flaky:
    """A table that fails once: at the nth time of an operation, once it begins to count."""

    def __init__(self, clock: Clock, operation: str, nth: int, how: str) -> None:
        self.failed = False
        self._begun = False
        self._fault = operation, nth, how
        self._seen: Counter[str] = Counter()
        dynamo: Any = Dynamo(self._step, lambda: clock().timestamp(), 0)
        self.ledger = Ledger(Table(dynamo, "outcomes"), timedelta(days=1))

    def begin(self) -> None:
        self._begun = True

    def _step(self, operation: str) -> str:
        self._seen[operation] += self._begun
        wanted, nth, how = self._fault
        fails = not self.failed and operation == wanted and self._seen[operation] == nth
        self.failed |= fails
        return how if fails else ""


def test_many_requests_are_claimed_and_settled_in_a_few_writes(hubspot: FakeHubSpot, clock: Clock) -> None:
    operations: list[str] = []

    def step(operation: str) -> str:
        operations.append(operation)
        return ""

    dynamo: Any = Dynamo(step, lambda: clock().timestamp(), 0)
    work = ports(Ledger(Table(dynamo, "outcomes"), timedelta(days=1)), hubspot, clock)
    run([request("m-first", (3, 500))], 30, work)
    operations.clear()

    answers = run([request(f"m-{number}", (3, number + 1)) for number in range(60)], 30, work)

    assert {ran.outcome.status for ran in answers} == {Status.COMPLETE}
    writes = Counter(operation for operation in operations if "answered" not in operation)
    # As the table sees them: besides each request's two, the pair is taken and given back.
    assert writes == {"batch_execute_statement": 1 + 3 + 3, "put_item": 60, "update_item": 60 + 2}


@pytest.mark.parametrize(
    ("number", "operation", "nth"),
    [
        *((1, "batch_execute_statement", nth) for nth in (1, 2)),
        (1, "put_item", 1),
        *((1, "update_item", nth) for nth in (1, 2, 3)),
        *(
            (4, operation, nth)
            for operation in ("batch_execute_statement", "put_item", "update_item")
            for nth in (1, 2, 3)
        ),
    ],
)
def test_what_a_write_of_many_does_not_do_is_done_one_by_one(
    hubspot: FakeHubSpot, clock: Clock, number: int, operation: str, nth: int
) -> None:
    dynamo = Flaky(clock, operation, nth, "throttled")
    work = ports(dynamo.ledger, hubspot, clock)
    run([request("m-first", (4, 5))], 30, work)
    dynamo.begin()
    requests = [request(f"m-{n}", (3, 5)) for n in range(number)]

    answers = run(requests, 30, work)

    assert dynamo.failed
    assert {ran.outcome.status for ran in answers} == {Status.COMPLETE}
    assert {read(dynamo.ledger, f"m-{n}").status for n in range(number)} == {Status.COMPLETE}
    assert len(hubspot.created) == 2


@pytest.mark.parametrize(("number", "nth"), [(1, 1), (1, 2), (4, 1), (4, 2), (4, 3)])
def test_what_became_of_a_write_of_many_that_was_not_answered_is_found_out(
    hubspot: FakeHubSpot, clock: Clock, number: int, nth: int
) -> None:
    dynamo = Flaky(clock, "batch_execute_statement answered", nth, "lost")
    work = ports(dynamo.ledger, hubspot, clock)
    run([request("m-first", (4, 5))], 30, work)
    dynamo.begin()

    answers = run([request(f"m-{n}", (3, 5)) for n in range(number)], 30, work)

    assert dynamo.failed
    assert {(ran.claim_status, ran.outcome.status) for ran in answers} == {(ClaimStatus.CLAIMED, Status.COMPLETE)}
    assert {read(dynamo.ledger, f"m-{n}").status for n in range(number)} == {Status.COMPLETE}
    assert len(hubspot.created) == 2


def test_a_pair_that_cannot_be_taken_now_keeps_no_other_pair_from_anybody(hubspot: FakeHubSpot, clock: Clock) -> None:
    down = {"2-2"}
    table = in_memory(clock)

    class Throttled(Rebuild):
        def __call__(self, wanted: Wanted, now: datetime) -> Register:
            if wanted.pair.to_type in down:
                raise LedgerUnavailable("throttled")
            return super().__call__(wanted, now)

    history, lag = History(table), timedelta(minutes=5)
    leases = Leases(table, timedelta(days=1), lag, Throttled(table, history, lag))
    work = replace(ports(Ledger(table, timedelta(days=1)), hubspot, clock), leases=leases)
    asked = [request(f"m-{n}", (3, 5), toObjectType=f"2-{n}") for n in range(1, 2 * MAX_THREADS + 1)]

    run(asked, 30, work)
    down.clear()
    answers = run(asked, 30, work)

    assert {ran.outcome.status for ran in answers} == {Status.COMPLETE}
