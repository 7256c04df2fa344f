"""Many requests take the ledger few writes, and one that fails lets nothing be sent twice or called done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from aws.dynamodb import Table
from batch_create.handler import run
from ledger.claim import Claim, ClaimStatus
from ledger.ledger import Ledger
from model.errors import LedgerUnavailable
from model.outcomes import Outcome, Request, Status
from tests.simulation.dynamo import Dynamo
from tests.support.fakes import (
    Clock,
    FakeHubSpot,
    ports,
    request,
)
from tests.support.ledger import read


def test_without_the_ledger_nothing_is_sent(table: Table, hubspot: FakeHubSpot, clock: Clock) -> None:
    class Unreachable(Ledger):
        def claim_new(self, requests: Sequence[Request], now: datetime, lease_until: datetime) -> list[Claim | None]:
            raise LedgerUnavailable("throttled")

    unreachable = Unreachable(table, timedelta(days=1))
    (ran,) = run([request("m-1", (3, 5))], 30, ports(unreachable, hubspot, clock))

    assert ran.claim_status is ClaimStatus.LEDGER_UNAVAILABLE
    assert ran.outcome.status is Status.DEFERRED
    assert hubspot.created == []


def test_what_could_not_be_settled_is_not_reported_as_done(
    ledger: Ledger, table: Table, hubspot: FakeHubSpot, clock: Clock
) -> None:
    class Forgetful(Ledger):
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
    """A table that fails once: at the nth time of an operation."""

    def __init__(self, clock: Clock, operation: str, nth: int, how: str) -> None:
        self.failed = False
        self._fault = operation, nth, how
        self._seen: Counter[str] = Counter()
        dynamo: Any = Dynamo(self._step, lambda: clock().timestamp(), 0)
        self.ledger = Ledger(Table(dynamo, "outcomes"), timedelta(days=1))

    def _step(self, operation: str) -> str:
        self._seen[operation] += 1
        wanted, nth, how = self._fault
        fails = operation == wanted and self._seen[operation] == nth
        self.failed |= fails
        return how if fails else ""


def test_many_requests_are_claimed_and_settled_in_a_few_writes(hubspot: FakeHubSpot, clock: Clock) -> None:
    operations: list[str] = []

    def step(operation: str) -> str:
        operations.append(operation)
        return ""

    dynamo: Any = Dynamo(step, lambda: clock().timestamp(), 0)
    requests = [request(f"m-{number}", (3, number + 1)) for number in range(60)]

    answers = run(requests, 30, ports(Ledger(Table(dynamo, "outcomes"), timedelta(days=1)), hubspot, clock))

    assert {ran.outcome.status for ran in answers} == {Status.COMPLETE}
    writes = Counter(operation for operation in operations if "answered" not in operation)
    assert writes == {"batch_execute_statement": 6, "put_item": 60, "update_item": 60}  # as the table sees them


@pytest.mark.parametrize(
    ("operation", "nth"),
    [("batch_execute_statement", 1), ("batch_execute_statement", 2), ("put_item", 3), ("update_item", 3)],
)
def test_what_a_write_of_many_does_not_do_is_done_one_by_one(
    hubspot: FakeHubSpot, clock: Clock, operation: str, nth: int
) -> None:
    dynamo = Flaky(clock, operation, nth, "throttled")
    requests = [request(f"m-{number}", (3, 5)) for number in range(4)]

    answers = run(requests, 30, ports(dynamo.ledger, hubspot, clock))

    assert dynamo.failed
    assert {ran.outcome.status for ran in answers} == {Status.COMPLETE}
    assert {read(dynamo.ledger, f"m-{number}").status for number in range(4)} == {Status.COMPLETE}
    assert len(hubspot.created) == 1


@pytest.mark.parametrize(("nth", "told"), [(1, ClaimStatus.LEASED), (2, ClaimStatus.CLAIMED)])
def test_what_became_of_a_write_of_many_that_was_not_answered_is_found_out_later(
    hubspot: FakeHubSpot, clock: Clock, nth: int, told: ClaimStatus
) -> None:
    dynamo = Flaky(clock, "batch_execute_statement answered", nth, "lost")
    requests = [request(f"m-{number}", (3, 5)) for number in range(4)]

    answers = run(requests, 30, ports(dynamo.ledger, hubspot, clock))
    assert {(ran.claim_status, ran.outcome.status.final) for ran in answers} == {(told, False)}

    for _ in range(2):  # the first looks up what may have been sent, and finds that nothing was
        clock.advance(60)
        answers = run(requests, 30, ports(dynamo.ledger, hubspot, clock))
    assert {ran.outcome.status for ran in answers} == {Status.COMPLETE}
    assert len(hubspot.created) == 1
