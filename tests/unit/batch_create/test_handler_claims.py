"""A request is run by one worker at a time and sent once, whoever else has it and wherever a worker dies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from batch_create.handler import run
from batch_create.ports import Point
from hubspot_api.client import Answer
from ledger.claim import ClaimStatus
from ledger.ledger import Ledger
from model.contract import LimitInput
from model.errors import Refused
from model.outcomes import Result, Status
from model.pair import Address
from tests.support.fakes import (
    START,
    Clock,
    FakeHubSpot,
    failed,
    key,
    ports,
    request,
)
from tests.support.ledger import read, results


def test_a_redelivered_request_is_answered_from_the_ledger(ledger: Ledger, hubspot: FakeHubSpot, clock: Clock) -> None:
    work = ports(ledger, hubspot, clock)
    run([request("m-1", (3, 5))], 30, work)

    (again,) = run([request("m-1", (3, 5))], 30, work)

    assert again.claim_status is ClaimStatus.FINAL
    assert again.outcome == read(ledger, "m-1")
    assert len(hubspot.created) == 1


def test_the_same_request_twice_in_one_batch_is_run_once(ledger: Ledger, hubspot: FakeHubSpot, clock: Clock) -> None:
    twice = [request("m-1", (3, 5), idempotencyKey="k"), request("m-2", (3, 5), idempotencyKey="k")]

    answers = run(twice, 30, ports(ledger, hubspot, clock))

    assert [ran.outcome.status for ran in answers] == [Status.COMPLETE, Status.COMPLETE]
    assert answers[0].outcome.id == answers[1].outcome.id
    assert len(hubspot.created) == 1


def test_a_key_used_for_something_else_is_noticed(ledger: Ledger, hubspot: FakeHubSpot, clock: Clock) -> None:
    work = ports(ledger, hubspot, clock)
    run([request("m-1", (3, 5), idempotencyKey="k")], 30, work)

    (other,) = run([request("m-2", (3, 6), idempotencyKey="k")], 30, work)

    assert other.claim_status is ClaimStatus.KEY_REUSED
    assert len(hubspot.created) == 1


def test_a_key_used_for_something_else_in_the_same_batch_is_noticed(
    ledger: Ledger, hubspot: FakeHubSpot, clock: Clock
) -> None:
    both = [request("m-1", (3, 5), idempotencyKey="k"), request("m-2", (3, 6), idempotencyKey="k")]

    answers = run(both, 30, ports(ledger, hubspot, clock))

    assert [ran.claim_status for ran in answers] == [ClaimStatus.CLAIMED, ClaimStatus.KEY_REUSED]
    assert hubspot.limits == {key(3): 5}


def test_a_request_held_elsewhere_is_left_alone_until_its_lease_ends(
    ledger: Ledger, hubspot: FakeHubSpot, clock: Clock
) -> None:
    ledger.claim(request("m-1", (3, 5)), "dead", START, START + timedelta(seconds=45))
    work = ports(ledger, hubspot, clock)

    (ran,) = run([request("m-1", (3, 5))], 30, work)
    assert ran.claim_status is ClaimStatus.LEASED
    assert ran.lease_until == START + timedelta(seconds=45)

    clock.advance(46)
    hubspot.limits[key(3)] = 5
    (taken_over,) = run([request("m-1", (3, 5))], 30, work)
    assert taken_over.outcome.status is Status.COMPLETE
    assert hubspot.created == []  # the dead holder had sent it: reading back proved that


def test_a_holder_that_wakes_up_late_cannot_overwrite_its_successor(
    ledger: Ledger, hubspot: FakeHubSpot, clock: Clock
) -> None:
    class Sleepy(FakeHubSpot):
        def batch_create(self, token: str, pair: Address, inputs: Sequence[LimitInput], seconds: float) -> Answer:
            clock.advance(100)
            run([request("m-1", (3, 5))], 30, ports(ledger, hubspot, clock))
            raise Refused("too late", http_status=404)

    (ran,) = run([request("m-1", (3, 5))], 30, ports(ledger, Sleepy(), clock))

    assert ran.outcome.status is Status.DEFERRED
    assert read(ledger, "m-1").status is Status.COMPLETE


def test_a_request_that_waits_is_not_run_before_its_time(ledger: Ledger, hubspot: FakeHubSpot, clock: Clock) -> None:
    hubspot.replies = [failed(429)]
    work = ports(ledger, hubspot, clock)
    (first,) = run([request("m-1", (3, 5))], 30, work)
    assert first.outcome.retry_at is not None

    for _ in range(3):
        (early,) = run([request("m-1", (3, 5))], 30, work)
        assert (early.claim_status, early.outcome) == (ClaimStatus.DEFERRED, first.outcome)
    assert len(hubspot.created) == 1

    clock.time = first.outcome.retry_at
    hubspot.replies = [failed(429)]
    (second,) = run([request("m-1", (3, 5))], 30, work)
    assert second.claim_status is ClaimStatus.CLAIMED
    clock.time = second.outcome.retry_at or START
    claim = ledger.claim(request("m-1", (3, 5)), "one", clock(), clock())
    assert claim.fence == 3  # three claims that were taken, of six that were tried


class Killed(BaseException):
    """Ends a worker where it stands."""


def test_a_worker_passes_every_point_in_order(ledger: Ledger, hubspot: FakeHubSpot, clock: Clock) -> None:
    passed: list[Point] = []

    run([request("m-1", (3, 5))], 30, replace(ports(ledger, hubspot, clock), reached=passed.append))

    assert passed == [point for point in Point if point is not Point.AFTER_SEND]


@pytest.mark.parametrize("point", [point for point in Point if point is not Point.AFTER_SEND])
def test_a_worker_that_dies_at_any_point_leaves_work_that_the_next_one_ends_with_one_send(
    ledger: Ledger, hubspot: FakeHubSpot, clock: Clock, point: Point
) -> None:
    def die(reached: Point) -> None:
        if reached is point:
            raise Killed

    with pytest.raises(Killed):
        run([request("m-1", (3, 5))], 30, replace(ports(ledger, hubspot, clock), reached=die))
    clock.advance(60)
    run([request("m-1", (3, 5))], 30, ports(ledger, hubspot, clock))

    outcome = read(ledger, "m-1")
    assert (outcome.status, results(outcome)) == (Status.COMPLETE, [Result.APPLIED])
    assert len(hubspot.created) == 1
