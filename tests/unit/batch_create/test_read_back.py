"""What was sent and not clearly answered is read back, and nothing is sent again before that."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from batch_create.read_back import CLOCKS, PAUSE
from batch_create.wait_budget import LONGEST_WAIT
from ledger.ledger import ATTEMPTS_KEPT
from model.errors import Uncertain
from model.outcomes import Doubt, Request, Result, Status, Trigger, Verdict
from tests.support.fakes import PAIR, START, FakeHubSpot, Service, answer, echo, failed, key, request
from tests.support.one_limit import ASKED, SHORT, only


@pytest.mark.parametrize(
    "reply",
    [
        failed(500),
        failed(503),
        Uncertain("the connection broke"),
        answer([], status="PROCESSING"),
        answer([], status="PENDING"),
        answer([], status="CANCELED"),
        answer([], status=None),
        answer([]),
    ],
    ids=["500", "503", "broken", "PROCESSING", "PENDING", "CANCELED", "no status", "COMPLETE"],
)
def test_what_was_applied_without_a_clear_answer_is_proved_by_one_reading(reply: Any) -> None:
    service = Service(FakeHubSpot(replies=[reply], reads=[{key(3): 5}]))

    (outcome,) = service.run(ASKED)

    assert only(outcome) == (Result.APPLIED, "proved by reading back")
    assert (outcome.status, outcome.doubt) == (Status.COMPLETE, None)
    assert service.hubspot.calls == ["create", "read"]
    verdict = Verdict.ANSWERED if getattr(reply, "body", None) and "COMPLETE" in str(reply) else Verdict.UNCERTAIN
    assert [attempt.verdict for attempt in outcome.attempts] == [verdict, Verdict.READ_BACK]


def test_an_echo_in_an_answer_that_is_not_finished_proves_nothing() -> None:
    service = Service(FakeHubSpot(replies=[answer([echo(ASKED.envelope.inputs[0])], status="PROCESSING")], reads=[{}]))

    (outcome,) = service.run(ASKED)

    assert service.hubspot.calls == ["create", "read", "read"]
    assert outcome.status is Status.COMPLETE


def test_what_two_readings_do_not_show_is_sent_again_in_the_same_run() -> None:
    service = Service(FakeHubSpot(replies=[failed(503)], state={PAIR: {key(3): 9}}))

    (outcome,) = service.run(ASKED)

    assert outcome.status is Status.COMPLETE
    assert service.hubspot.calls == ["create", "read", "read", "create"]
    assert [attempt.verdict for attempt in outcome.attempts] == [
        Verdict.UNCERTAIN,
        Verdict.READ_BACK,
        Verdict.READ_BACK,
        Verdict.ANSWERED,
    ]
    first, second = (attempt.at for attempt in outcome.attempts if attempt.verdict is Verdict.READ_BACK)
    assert second - first >= timedelta(seconds=PAUSE)


def test_a_limit_that_only_a_later_reading_shows_is_not_sent_again() -> None:
    service = Service(FakeHubSpot(replies=[failed(503)], reads=[{}, {key(3): 5}]))

    (outcome,) = service.run(ASKED)

    assert only(outcome) == (Result.APPLIED, "proved by reading back")
    assert service.hubspot.calls == ["create", "read", "read"]


def test_without_the_time_to_read_twice_the_second_reading_is_the_next_runs() -> None:
    service = Service(FakeHubSpot(replies=[failed(503)]))

    (first,) = service.run(ASKED, seconds=SHORT - 3)
    assert first.status is Status.DEFERRED
    assert first.reason == "HubSpot answered 503; it is not there yet, which is looked at again"
    assert first.retry_at == START + timedelta(seconds=PAUSE + CLOCKS)
    assert first.doubt == Doubt(since=START, absent_since=START)

    service.clock.time = first.retry_at
    (second,) = service.run(ASKED)
    assert second.status is Status.COMPLETE
    assert service.hubspot.calls == ["create", "read", "read", "create"]


def test_what_is_known_not_to_be_there_is_sent_in_the_next_run_when_patience_ends_in_this_one() -> None:
    service = Service(FakeHubSpot(replies=[failed(503), failed(503)]))

    (first,) = service.run(ASKED)
    assert first.status is Status.DEFERRED
    assert first.reason == "HubSpot answered 503; it is not there and is sent again"
    assert first.doubt is not None
    assert first.doubt.cleared
    assert (service.clock() - START).total_seconds() <= LONGEST_WAIT

    service.clock.time = first.retry_at or START
    (second,) = service.run(ASKED)
    assert second.status is Status.COMPLETE
    assert service.hubspot.calls == ["create", "read", "read"] * 2 + ["create"]


def test_a_number_that_was_there_before_is_kept_as_the_previous_one() -> None:
    service = Service(FakeHubSpot(replies=[failed(503)], reads=[failed(503)]))
    service.hubspot.limits[key(3)] = 9

    outcome = service.run_until_final(ASKED)

    assert (outcome.status, outcome.inputs[0].previous) == (Status.COMPLETE, 9)


def test_a_doubt_outlives_every_failing_attempt_to_clear_it_up() -> None:
    service = Service(FakeHubSpot(replies=[failed(503)], applies=True))
    statuses = [503, 429, 403, 522, 477]
    for number in range(61):
        service.hubspot.reads = [failed(statuses[number % len(statuses)])]
        (outcome,) = service.run(ASKED)
        assert (outcome.status, only(outcome)[0]) == (Status.DEFERRED, Result.PENDING)
        assert outcome.doubt == Doubt(since=START)
        assert "reading back failed" in (outcome.reason or "") or "in doubt" in (outcome.reason or "")
        service.clock.time = outcome.retry_at or START

    # The send itself is long gone from what the ledger keeps of attempts.
    assert len(outcome.attempts) == ATTEMPTS_KEPT
    assert {attempt.call for attempt in outcome.attempts} == {"read"}

    (outcome,) = service.run(ASKED)
    assert only(outcome) == (Result.APPLIED, "proved by reading back")
    assert len(service.hubspot.created) == 1


@pytest.mark.parametrize("status", [400, 404, 405, 410, 422])
def test_what_can_never_be_read_back_stays_unconfirmed_and_is_not_sent_again(status: int) -> None:
    service = Service(FakeHubSpot(replies=[failed(503)], reads=[failed(status, "no reading here")]))

    (outcome,) = service.run(ASKED)

    assert (outcome.status, outcome.doubt) == (Status.UNCONFIRMED, None)
    assert only(outcome) == (
        Result.UNCONFIRMED,
        "HubSpot answered 503, and HubSpot refuses to be read: no reading here",
    )
    assert service.hubspot.calls == ["create", "read"]


def test_what_can_never_be_read_back_in_a_later_run_stays_unconfirmed_too() -> None:
    service = Service(FakeHubSpot(replies=[failed(503)], reads=[failed(503), failed(404)]))

    outcome = service.run_until_final(ASKED)

    assert (outcome.status, only(outcome)[0]) == (Status.UNCONFIRMED, Result.UNCONFIRMED)
    assert service.hubspot.calls == ["create", "read", "read"]


@pytest.mark.parametrize(("status", "seconds"), [(429, 10), (423, 2), (477, 3600)])
def test_the_next_reading_waits_as_long_as_hubspot_asks(status: int, seconds: int) -> None:
    service = Service(FakeHubSpot(replies=[failed(503)], reads=[failed(status, retry_after=seconds)]))

    (outcome,) = service.run(ASKED)

    assert outcome.retry_at == START + timedelta(seconds=seconds)


def test_a_spent_daily_quota_parks_a_doubt_until_it_is_full_again() -> None:
    service = Service(FakeHubSpot(replies=[failed(503)], reads=[failed(429, daily=True)]))

    (outcome,) = service.run(ASKED)

    assert outcome.retry_at == datetime.fromisoformat("2026-11-24T00:00Z")
    assert outcome.doubt == Doubt(since=START)


@pytest.mark.parametrize(("there", "calls"), [(5, ["read"]), (9, ["read", "read", "create"])])
def test_what_a_dead_worker_may_have_sent_is_read_before_anything_is_sent(there: int, calls: list[str]) -> None:
    service = Service()
    service.ledger.claim(ASKED, "one", START, START + timedelta(seconds=45))
    service.hubspot.limits[key(3)] = there
    service.clock.advance(46)

    (outcome,) = service.run(ASKED)

    assert outcome.status is Status.COMPLETE
    assert service.hubspot.calls == calls


def test_the_doubt_that_a_request_brings_with_it_is_cleared_up_first() -> None:
    service = Service(FakeHubSpot(state={PAIR: {key(3): 5}}))
    replayed = Request(ASKED.envelope, Trigger.WEBHOOK, "m-2", START, doubt=Doubt(since=START))

    (outcome,) = service.run(replayed)

    assert only(outcome)[0] is Result.APPLIED
    assert service.hubspot.calls == ["read"]


TWO = request("m-1", (3, 5), (4, 5))


def test_a_doubt_about_one_call_is_not_cleared_by_what_is_known_of_another() -> None:
    service = Service(FakeHubSpot(replies=[failed(503), failed(503)], reads=[failed(503), {}, {}]), batch_size=1)

    (outcome,) = service.run(TWO)

    assert [item.result for item in outcome.inputs] == [Result.PENDING, Result.APPLIED]
    assert outcome.doubt is not None
    assert not outcome.doubt.cleared
