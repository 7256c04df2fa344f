"""run(), with the real ledger over moto and a scripted HubSpot."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from batch_create.contract import LimitInput
from batch_create.errors import LedgerUnavailable, Misconfigured, Refused, Unavailable, Uncertain
from batch_create.handler import run
from batch_create.hubspot import Answer, Pair
from batch_create.ledger import Claim, Ledger, Standing
from batch_create.outcomes import Outcome, Request, Result, Status, Verdict
from batch_create.table import Table
from tests.support.fakes import START, Clock, FakeHubSpot, Reply, answer, echo, ports, request


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

    assert ran.standing is Standing.OURS
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


def test_complete_without_an_echo_is_never_success(ledger: Ledger, hubspot: FakeHubSpot, clock: Clock) -> None:
    hubspot.replies = [answer([])]

    run([request("m-1", (3, 5))], 30, ports(ledger, hubspot, clock))

    assert read(ledger, "m-1").status is Status.UNCONFIRMED
    assert hubspot.read_count == 1


def test_what_an_answer_left_out_can_be_proved_by_reading_back(
    ledger: Ledger, hubspot: FakeHubSpot, clock: Clock
) -> None:
    hubspot.replies = [Uncertain("timeout")]
    hubspot.applies = True

    run([request("m-1", (3, 5))], 30, ports(ledger, hubspot, clock))

    outcome = read(ledger, "m-1")
    assert outcome.status is Status.COMPLETE
    assert outcome.inputs[0].message == "proved by reading back"
    assert len(hubspot.created) == 1


def test_an_uncertain_call_that_did_not_apply_is_deferred_then_looked_up_before_it_is_sent_again(
    ledger: Ledger, hubspot: FakeHubSpot, clock: Clock
) -> None:
    hubspot.replies = [Uncertain("503", http_status=503)]
    work = ports(ledger, hubspot, clock)

    (first,) = run([request("m-1", (3, 5))], 30, work)
    assert first.outcome.status is Status.DEFERRED
    assert first.outcome.retry_at is not None
    assert first.outcome.retry_at > START
    assert first.outcome.reason == "503"

    clock.advance(60)
    hubspot.state["deals", "contacts"] = {("HUBSPOT_DEFINED", 3): 9}
    (second,) = run([request("m-1", (3, 5))], 30, work)
    assert second.outcome.status is Status.COMPLETE
    assert second.outcome.retry_at is None
    assert second.outcome.inputs[0].previous == 9
    assert [a.verdict for a in read(ledger, "m-1").attempts] == [
        Verdict.UNCERTAIN,
        Verdict.READ_BACK,
        Verdict.READ_BACK,
        Verdict.ANSWERED,
    ]


def test_a_limit_that_arrived_late_is_not_sent_again(ledger: Ledger, hubspot: FakeHubSpot, clock: Clock) -> None:
    hubspot.replies = [answer([], status="PROCESSING")]
    work = ports(ledger, hubspot, clock)
    (first,) = run([request("m-1", (3, 5))], 30, work)
    assert first.outcome.status is Status.DEFERRED

    hubspot.state["deals", "contacts"] = {("HUBSPOT_DEFINED", 3): 5}
    run([request("m-1", (3, 5))], 30, work)

    outcome = read(ledger, "m-1")
    assert outcome.status is Status.COMPLETE
    assert len(hubspot.created) == 1
    assert outcome.hubspot is not None
    assert outcome.hubspot.status == "PROCESSING"  # HubSpot's last words stay, whatever was proved since


@pytest.mark.parametrize(("interactive", "status"), [(True, Status.FAILED), (False, Status.DEFERRED)])
def test_a_refused_token_fails_whoever_waits_and_defers_the_others(
    ledger: Ledger, hubspot: FakeHubSpot, clock: Clock, interactive: bool, status: Status
) -> None:
    hubspot.replies = [Misconfigured("no", http_status=401), Misconfigured("no", http_status=401)]

    run([request("m-1", (3, 5), interactive=interactive)], 30, ports(ledger, hubspot, clock))

    outcome = read(ledger, "m-1")
    assert outcome.status is status
    assert "tokens/default" in (outcome.reason or "")
    assert hubspot.tokens == ["old", "new"]


def test_a_redirect_is_not_blamed_on_the_token(ledger: Ledger, hubspot: FakeHubSpot, clock: Clock) -> None:
    hubspot.replies = [Misconfigured("HubSpot answered 307 without a message", http_status=307)]

    run([request("m-1", (3, 5))], 30, ports(ledger, hubspot, clock))

    assert read(ledger, "m-1").reason == "HubSpot answered 307 without a message"


def test_a_401_is_answered_with_the_secret_fetched_anew(ledger: Ledger, hubspot: FakeHubSpot, clock: Clock) -> None:
    hubspot.replies = [Misconfigured("expired", http_status=401)]

    run([request("m-1", (3, 5))], 30, ports(ledger, hubspot, clock))

    assert read(ledger, "m-1").status is Status.COMPLETE
    assert hubspot.tokens == ["old", "new"]


def test_one_bad_input_does_not_cost_the_others_a_batch_that_is_refused_whole(
    ledger: Ledger, hubspot: FakeHubSpot, clock: Clock
) -> None:
    def refuse_the_seventh(inputs: Sequence[LimitInput]) -> Reply:
        if any(item.type_id == 7 for item in inputs):
            return Refused("typeId 7 is bad", http_status=400, body='{"message":"typeId 7 is bad"}')
        return answer([echo(item) for item in inputs])

    hubspot.replies = [refuse_the_seventh] * 20

    run([request("m-1", *((n, n) for n in range(1, 11)))], 30, ports(ledger, hubspot, clock))

    outcome = read(ledger, "m-1")
    assert outcome.status is Status.PARTIAL
    assert [item.type_id for item in outcome.inputs if item.result is Result.REJECTED] == [7]
    assert [item.message for item in outcome.inputs if item.type_id == 7] == ["typeId 7 is bad"]
    assert len(hubspot.created) <= 2 * math.log2(10) + 1
    assert outcome.hubspot is not None
    body = json.loads(outcome.hubspot.body or "")
    assert (outcome.hubspot.http_status, len(body["results"]), body["numErrors"]) == (207, 9, 1)


def test_requests_for_one_pair_share_a_call_and_the_latest_number_wins(
    ledger: Ledger, hubspot: FakeHubSpot, clock: Clock
) -> None:
    earlier = request("m-1", (3, 5), (4, 2), at=START)
    later = request("m-2", (3, 7), at=START + timedelta(seconds=1))
    same = request("m-3", (4, 2), at=START)

    run([later, earlier, same], 30, ports(ledger, hubspot, clock))

    assert len(hubspot.created) == 1
    assert hubspot.state["deals", "contacts"] == {("HUBSPOT_DEFINED", 3): 7, ("HUBSPOT_DEFINED", 4): 2}
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
    assert hubspot.state["deals", "contacts"] == {("HUBSPOT_DEFINED", 3): 5}


def test_a_redelivered_request_is_answered_from_the_ledger(ledger: Ledger, hubspot: FakeHubSpot, clock: Clock) -> None:
    work = ports(ledger, hubspot, clock)
    run([request("m-1", (3, 5))], 30, work)

    (again,) = run([request("m-1", (3, 5))], 30, work)

    assert again.standing is Standing.FINISHED
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

    assert other.standing is Standing.ANOTHER_REQUEST
    assert len(hubspot.created) == 1


def test_a_request_held_elsewhere_is_left_alone_until_its_lease_ends(
    ledger: Ledger, hubspot: FakeHubSpot, clock: Clock
) -> None:
    ledger.claim(request("m-1", (3, 5)), START, START + timedelta(seconds=45))
    work = ports(ledger, hubspot, clock)

    (ran,) = run([request("m-1", (3, 5))], 30, work)
    assert ran.standing is Standing.ELSEWHERE
    assert ran.lease_until == START + timedelta(seconds=45)

    clock.advance(46)
    hubspot.state["deals", "contacts"] = {("HUBSPOT_DEFINED", 3): 5}
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
        def claim(self, request: Request, now: datetime, lease_until: datetime) -> Claim:
            raise LedgerUnavailable("throttled")

    unreachable = Unreachable(table, timedelta(days=1))
    (ran,) = run([request("m-1", (3, 5))], 30, ports(unreachable, hubspot, clock))

    assert ran.standing is Standing.UNREACHED
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


def test_a_failing_call_touches_only_the_requests_in_it(ledger: Ledger, hubspot: FakeHubSpot, clock: Clock) -> None:
    hubspot.replies = [Unavailable("429", http_status=429, retry_after=10)]
    requests = [request("m-1", (3, 5)), request("m-2", (3, 5), portal="acme")]

    answers = run(requests, 30, ports(ledger, hubspot, clock))

    assert [ran.outcome.status for ran in answers] == [Status.DEFERRED, Status.COMPLETE]
    assert answers[0].outcome.retry_at == START + timedelta(seconds=10)


def test_pauses_grow_up_to_a_quarter_of_an_hour_also_under_hubspots_own_time_to_wait(
    ledger: Ledger, hubspot: FakeHubSpot, clock: Clock
) -> None:
    pauses = []
    for _ in range(12):
        hubspot.replies = [Unavailable("429", http_status=429, retry_after=10)]
        (ran,) = run([request("m-1", (3, 5))], 30, ports(ledger, hubspot, clock))
        assert ran.outcome.retry_at is not None
        pauses.append((ran.outcome.retry_at - clock()).total_seconds())

    assert pauses[:3] == [10, 10, 10]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 900 * 0.75


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
