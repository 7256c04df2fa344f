"""run(), with the real ledger over a table in memory and a scripted HubSpot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from aws.dynamodb import Table
from batch_create.handler import run
from batch_create.ports import Point
from hubspot_api.client import Answer
from ledger.claim import Claim, ClaimStatus
from ledger.ledger import Ledger
from model.contract import LimitInput
from model.errors import LedgerUnavailable, Misconfigured, Refused
from model.outcomes import Outcome, Request, Result, Status, Verdict
from model.pair import Pair
from tests.simulation.dynamo import Dynamo
from tests.support.fakes import (
    START,
    Clock,
    FakeHubSpot,
    FakeTokens,
    Service,
    answer,
    echo,
    failed,
    in_memory,
    key,
    ports,
    request,
)


@pytest.fixture
def table(clock: Clock) -> Table:
    return in_memory(clock)


def read(ledger: Ledger, outcome_id: str) -> Outcome:
    outcome = ledger.get(outcome_id)
    assert outcome is not None
    return outcome


def results(outcome: Outcome) -> list[Result]:
    return [item.result for item in outcome.inputs]


def test_a_request_that_goes_well_is_complete_and_every_input_applied(
    ledger: Ledger, hubspot: FakeHubSpot, clock: Clock
) -> None:
    (ran,) = run([request("m-1", (3, 5), (5, 1))], 30, ports(ledger, hubspot, clock))

    assert ran.claim_status is ClaimStatus.CLAIMED
    outcome = read(ledger, "m-1")
    assert outcome == ran.outcome
    assert outcome.status is Status.COMPLETE
    assert results(outcome) == [Result.APPLIED, Result.APPLIED]
    assert outcome.hubspot is not None
    assert (outcome.hubspot.http_status, outcome.hubspot.status, outcome.hubspot.correlation_id) == (
        201,
        "COMPLETE",
        "c-1",
    )
    assert outcome.started_at == outcome.finished_at == START
    assert [attempt.verdict for attempt in outcome.attempts] == [Verdict.ANSWERED]


def test_a_207_is_split_over_the_inputs(ledger: Ledger, hubspot: FakeHubSpot, clock: Clock) -> None:
    error = {"message": "typeId 5 does not exist for deals to contacts", "category": "VALIDATION_ERROR"}
    hubspot.replies = [lambda inputs: answer([echo(inputs[0])], http_status=207, errors=[error], numErrors=1)]

    run([request("m-1", (3, 5), (5, 1))], 30, ports(ledger, hubspot, clock))

    outcome = read(ledger, "m-1")
    assert outcome.status is Status.PARTIAL
    assert results(outcome) == [Result.APPLIED, Result.REJECTED]
    assert outcome.inputs[1].message == error["message"]


@pytest.mark.parametrize(("interactive", "status"), [(True, Status.FAILED), (False, Status.DEFERRED)])
def test_a_refused_token_fails_whoever_waits_and_defers_the_others(
    ledger: Ledger, hubspot: FakeHubSpot, clock: Clock, interactive: bool, status: Status
) -> None:
    hubspot.replies = [failed(401), failed(401)]

    run([request("m-1", (3, 5), interactive=interactive)], 30, ports(ledger, hubspot, clock))

    outcome = read(ledger, "m-1")
    assert outcome.status is status
    assert "tokens/default" in (outcome.reason or "")
    assert hubspot.tokens == ["old", "new"]


def test_a_redirect_is_not_blamed_on_the_token(ledger: Ledger, hubspot: FakeHubSpot, clock: Clock) -> None:
    hubspot.replies = [failed(307, "HubSpot answered 307 without a message")]

    run([request("m-1", (3, 5))], 30, ports(ledger, hubspot, clock))

    assert read(ledger, "m-1").reason == "HubSpot answered 307 without a message"


def test_a_401_is_answered_with_the_secret_fetched_anew(ledger: Ledger, hubspot: FakeHubSpot, clock: Clock) -> None:
    hubspot.replies = [failed(401)]

    run([request("m-1", (3, 5))], 30, ports(ledger, hubspot, clock))

    assert read(ledger, "m-1").status is Status.COMPLETE
    assert hubspot.tokens == ["old", "new"]


def test_requests_for_one_pair_share_a_call_and_the_latest_number_wins(
    ledger: Ledger, hubspot: FakeHubSpot, clock: Clock
) -> None:
    earlier = request("m-1", (3, 5), (4, 2), at=START)
    later = request("m-2", (3, 7), at=START + timedelta(seconds=1))
    same = request("m-3", (4, 2), at=START)

    run([later, earlier, same], 30, ports(ledger, hubspot, clock))

    assert len(hubspot.created) == 1
    assert hubspot.limits == {key(3): 7, key(4): 2}
    first = read(ledger, "m-1")
    assert first.status is Status.COMPLETE
    assert results(first) == [Result.SUPERSEDED, Result.APPLIED]
    assert first.inputs[0].superseded_by == "m-2"
    assert read(ledger, "m-3").status is Status.COMPLETE


def test_an_earlier_number_is_sent_when_the_later_one_is_refused(
    ledger: Ledger, hubspot: FakeHubSpot, clock: Clock
) -> None:
    hubspot.replies = [answer([], http_status=207, errors=[{"message": "too high"}], numErrors=1)]
    requests = [request("m-1", (3, 5)), request("m-2", (3, 99_999), at=START + timedelta(seconds=1))]

    run(requests, 30, ports(ledger, hubspot, clock))

    assert read(ledger, "m-1").status is Status.COMPLETE
    assert read(ledger, "m-2").status is Status.REJECTED
    assert hubspot.limits == {key(3): 5}


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


def test_a_request_held_elsewhere_is_left_alone_until_its_lease_ends(
    ledger: Ledger, hubspot: FakeHubSpot, clock: Clock
) -> None:
    ledger.claim(request("m-1", (3, 5)), START, START + timedelta(seconds=45))
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
        def batch_create(self, token: str, pair: Pair, inputs: Sequence[LimitInput], seconds: float) -> Answer:
            clock.advance(100)
            run([request("m-1", (3, 5))], 30, ports(ledger, hubspot, clock))
            raise Refused("too late", http_status=404)

    (ran,) = run([request("m-1", (3, 5))], 30, ports(ledger, Sleepy(), clock))

    assert ran.outcome.status is Status.DEFERRED
    assert read(ledger, "m-1").status is Status.COMPLETE


def test_without_the_ledger_nothing_is_sent(table: Table, hubspot: FakeHubSpot, clock: Clock) -> None:
    class Unreachable(Ledger):
        def claim(self, request: Request, now: datetime, lease_until: datetime, *, new: bool = True) -> Claim:
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


def test_a_failing_call_touches_only_the_requests_in_it(ledger: Ledger, hubspot: FakeHubSpot, clock: Clock) -> None:
    hubspot.replies = [failed(429)]
    requests = [request("m-1", (3, 5)), request("m-2", (3, 5), portal="acme")]

    answers = run(requests, 30, ports(ledger, hubspot, clock))

    assert [ran.outcome.status for ran in answers] == [Status.DEFERRED, Status.COMPLETE]
    assert answers[0].outcome.retry_at == START + timedelta(seconds=10)


@pytest.mark.parametrize(("status", "sent"), [(307, 1), (401, 2), (429, 1), (477, 1)])
def test_what_is_true_of_a_portal_stops_every_further_call_for_it_and_for_no_other(
    ledger: Ledger, hubspot: FakeHubSpot, clock: Clock, status: int, sent: int
) -> None:
    hubspot.replies = [failed(status) for _ in range(sent)]
    requests = [
        request("m-1", (3, 5), (4, 5), (5, 5)),
        request("m-2", (3, 5), toObjectType="companies"),
        request("m-3", (3, 5), portal="acme"),
    ]

    answers = run(requests, 30, ports(ledger, hubspot, clock, batch_size=1))

    assert [ran.outcome.status for ran in answers] == [Status.DEFERRED, Status.DEFERRED, Status.COMPLETE]
    assert len(hubspot.created) == sent + 1
    assert answers[1].outcome.reason == answers[0].outcome.reason
    assert [attempt.http_status for attempt in answers[1].outcome.attempts] == []


def test_a_scope_that_one_object_type_lacks_stops_no_other_pair(
    ledger: Ledger, hubspot: FakeHubSpot, clock: Clock
) -> None:
    def forbid_deals(inputs: Sequence[LimitInput]) -> Answer:
        if hubspot.created[-1][0].from_object_type == "deals":
            raise failed(403)
        return answer([echo(item) for item in inputs])

    hubspot.replies = [forbid_deals] * 9
    requests = [request("m-1", (3, 5)), request("m-2", (15, 5), fromObjectType="contacts", toObjectType="tickets")]

    answers = run(requests, 30, ports(ledger, hubspot, clock))

    assert [ran.outcome.status for ran in answers] == [Status.DEFERRED, Status.COMPLETE]
    assert "tokens/default" in (answers[0].outcome.reason or "")


def test_without_a_token_nothing_is_sent_and_it_is_asked_for_once(
    ledger: Ledger, hubspot: FakeHubSpot, clock: Clock
) -> None:
    class NoTokens(FakeTokens):
        asked = 0

        def bearer(self, portal: str, seconds: float, *, fresh: bool = False) -> str:
            self.asked += 1
            raise Misconfigured("there is no secret tokens/default", portal_wide=True)

    tokens = NoTokens()
    work = replace(ports(ledger, hubspot, clock, batch_size=1), tokens=tokens)

    (ran,) = run([request("m-1", (3, 5), (4, 5))], 30, work)

    assert (ran.outcome.status, ran.outcome.reason) == (Status.DEFERRED, "there is no secret tokens/default")
    assert (hubspot.calls, tokens.asked) == ([], 1)


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
    claim = ledger.claim(request("m-1", (3, 5)), clock(), clock())
    assert claim.fence == 3  # three claims that were taken, of six that were tried


def test_pauses_grow_up_to_a_quarter_of_an_hour_and_never_undercut_hubspots_own(
    ledger: Ledger, hubspot: FakeHubSpot, clock: Clock
) -> None:
    pauses = []
    for _ in range(12):
        hubspot.replies = [failed(429)]
        (ran,) = run([request("m-1", (3, 5))], 30, ports(ledger, hubspot, clock))
        assert ran.outcome.retry_at is not None
        pauses.append((ran.outcome.retry_at - clock()).total_seconds())
        clock.time = ran.outcome.retry_at

    assert pauses[:4] == [10, 10, 10, 10]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 900 * 0.5


def test_every_call_is_written_down_and_the_latest_50_are_kept() -> None:
    service, asked = Service(), request("m-1", (3, 5))
    for number in range(60):
        service.hubspot.replies = [failed(429, correlation_id=f"c-{number}")]
        (outcome,) = service.run(asked)
        service.clock.time = outcome.retry_at or START

        seen = range(max(0, number - 49), number + 1)
        assert [attempt.correlation_id for attempt in outcome.attempts] == [f"c-{n}" for n in seen]
    (done,) = service.run(asked)

    assert [attempt.verdict for attempt in done.attempts] == [*[Verdict.UNAVAILABLE] * 49, Verdict.ANSWERED]


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
    clock.advance(46)
    run([request("m-1", (3, 5))], 30, ports(ledger, hubspot, clock))

    outcome = read(ledger, "m-1")
    assert (outcome.status, results(outcome)) == (Status.COMPLETE, [Result.APPLIED])
    assert len(hubspot.created) == 1


def test_a_request_larger_than_a_batch_is_cut_and_its_answers_joined(
    ledger: Ledger, hubspot: FakeHubSpot, clock: Clock
) -> None:
    run([request("m-1", *((n, n) for n in range(1, 8)))], 30, ports(ledger, hubspot, clock, batch_size=3))

    outcome = read(ledger, "m-1")
    assert [len(inputs) for _, inputs in hubspot.created] == [3, 3, 1]
    assert outcome.status is Status.COMPLETE
    assert outcome.hubspot is not None
    assert outcome.hubspot.body is not None
    assert outcome.hubspot.body.count("userEnforcedMaxToObjectIds") == 7
