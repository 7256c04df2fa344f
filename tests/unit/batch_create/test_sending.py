"""What was sent and not clearly answered: it is read back, and nothing is sent again before that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_create.read_back import PAUSE, READ_LAG, SENT_IN_VAIN
from batch_create.sending import SENDS
from batch_create.wait_budget import LONGEST_WAIT
from hubspot_api.client import Answer
from ledger.ledger import ATTEMPTS_KEPT
from model.contract import LimitInput, LimitKey
from model.errors import HubSpotFailure, Uncertain
from model.outcomes import Doubt, Outcome, Request, Result, Status, Trigger, Verdict
from model.pair import Pair
from tests.support.fakes import START, FakeHubSpot, Limits, Service, answer, echo, failed, key, request

ASKED = request("m-1", (3, 5))
SHORT = 7.0  # seconds of a run that has the time for a call and none to wait


def only(outcome: Outcome) -> tuple[Result, str | None]:
    """What became of an outcome's one input."""
    (item,) = outcome.inputs
    return item.result, item.message


# -------------------------------------------------------------------------------------------------- sent, and no answer
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
    service = Service(FakeHubSpot(replies=[failed(503)], state={("deals", "contacts"): {key(3): 9}}))

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
    assert first.retry_at == START + timedelta(seconds=PAUSE)
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


# --------------------------------------------------------------------------------------------------- reading that fails
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


# ---------------------------------------------------------------------------------------------------- who waits is told
def interactive(own_id: str, *limits: tuple[int, int], at: datetime = START) -> Request:
    return request(own_id, *limits, at=at, interactive=True)


@pytest.mark.parametrize("status", [401, 403, 307])
def test_whoever_waits_is_told_that_a_portal_is_misconfigured(status: int) -> None:
    service = Service(FakeHubSpot(replies=[failed(status) for _ in range(9)]))

    (outcome,) = service.run(interactive("m-1", (3, 5)))

    assert (outcome.status, outcome.finished_at) == (Status.FAILED, service.clock())
    assert only(outcome) == (Result.PENDING, None)


@pytest.mark.parametrize("status", [401, 403])
def test_a_misconfigured_portal_fails_nothing_that_is_in_doubt(status: int) -> None:
    service = Service(FakeHubSpot(replies=[failed(503)], reads=[failed(status) for _ in range(9)], applies=True))
    asked = interactive("m-1", (3, 5))

    (waiting,) = service.run(asked)
    assert (waiting.status, waiting.doubt) == (Status.DEFERRED, Doubt(since=START))

    service.hubspot.reads = []
    assert service.run_until_final(asked).status is Status.COMPLETE


def test_a_portal_that_is_misconfigured_after_a_doubt_was_cleared_fails_nothing_either() -> None:
    service = Service(FakeHubSpot(replies=[failed(503), failed(401), failed(401)]))

    (outcome,) = service.run(interactive("m-1", (3, 5)))

    assert service.hubspot.calls == ["create", "read", "read", "create", "create"]
    assert outcome.status is Status.DEFERRED


# ------------------------------------------------------------------------------------ two requests, and one dead worker
def in_doubt(service: Service, *requests: Request) -> None:
    """Let each request be sent in a run of its own, without an answer and without a reading."""
    for asked in requests:
        service.hubspot.replies, service.hubspot.reads = [failed(503)], [failed(503)]
        (outcome,) = service.run(asked)
        assert outcome.doubt == Doubt(since=service.clock())
        service.clock.advance(1)
    service.clock.advance(60)


OLDER, YOUNGER = request("m-1", (3, 5)), request("m-2", (3, 7), at=START + timedelta(seconds=1))


@pytest.mark.parametrize(
    ("there", "older", "younger", "creates"),
    [
        (7, Result.SUPERSEDED, Result.APPLIED, 0),
        (5, Result.APPLIED, Result.APPLIED, 1),
        (None, Result.SUPERSEDED, Result.APPLIED, 1),
        (9, Result.SUPERSEDED, Result.APPLIED, 1),
    ],
)
def test_of_two_doubts_about_one_limit_each_is_looked_up_by_its_own_number(
    there: int | None, older: Result, younger: Result, creates: int
) -> None:
    service = Service()
    in_doubt(service, OLDER, YOUNGER)
    service.hubspot.limits[key(3)] = there
    sent = len(service.hubspot.created)

    outcomes = service.run(OLDER, YOUNGER)

    assert [only(outcome)[0] for outcome in outcomes] == [older, younger]
    assert [outcome.status for outcome in outcomes] == [Status.COMPLETE] * 2
    assert service.hubspot.limits == {key(3): 7}
    assert len(service.hubspot.created) - sent == creates


def test_two_doubts_about_one_limit_wait_together_while_it_cannot_be_read() -> None:
    service = Service()
    in_doubt(service, OLDER, YOUNGER)
    service.hubspot.reads = [failed(503)] * 9
    sent = len(service.hubspot.created)

    outcomes = service.run(OLDER, YOUNGER)

    assert [outcome.status for outcome in outcomes] == [Status.DEFERRED] * 2
    assert all(outcome.doubt and not outcome.doubt.cleared for outcome in outcomes)
    assert len(service.hubspot.created) == sent


def test_two_doubts_about_one_limit_that_can_never_be_read_are_both_unconfirmed() -> None:
    service = Service()
    in_doubt(service, OLDER, YOUNGER)
    service.hubspot.reads = [failed(404)] * 9

    outcomes = service.run(OLDER, YOUNGER)

    assert [only(outcome)[0] for outcome in outcomes] == [Result.UNCONFIRMED] * 2
    assert "outcome m-2" in (outcomes[0].inputs[0].message or "")


def test_an_older_number_that_was_seen_is_not_sent_again_when_the_younger_one_is_refused() -> None:
    older, younger = request("m-1", (3, 5), (4, 2)), request("m-2", (3, 7), at=START + timedelta(seconds=1))
    service = Service()
    in_doubt(service, older, younger)
    service.hubspot.limits[key(3)] = 5
    sent = len(service.hubspot.created)
    service.hubspot.replies = [
        lambda inputs: answer([echo(i) for i in inputs if i.type_id == 4], errors=[{"message": "typeId 3 is too high"}])
    ]

    outcomes = service.run(older, younger)

    assert [outcome.status for outcome in outcomes] == [Status.COMPLETE, Status.UNCONFIRMED]
    assert [sorted(call) for call in service.hubspot.sent[sent:]] == [[3, 4]]  # of which 3 was the younger one's


@pytest.mark.parametrize(
    ("there", "result"), [(None, Result.REJECTED), (500_000, Result.REJECTED), (9, Result.UNCONFIRMED)]
)
def test_what_is_refused_after_a_send_in_doubt_is_rejected_only_if_nothing_could_have_set_it(
    there: int | None, result: Result
) -> None:
    service = Service()
    in_doubt(service, ASKED)
    if there:  # by somebody else, perhaps after ours
        service.hubspot.limits[key(3)] = there
    service.clock.advance(60)  # no reading is older than HubSpot's lag any more
    service.hubspot.replies = [lambda inputs: answer([], errors=[{"message": "typeId 3 is too high"}])]

    (outcome,) = service.run(ASKED)

    assert outcome.inputs[0].result is result
    assert "typeId 3 is too high" in (outcome.inputs[0].message or "")
    assert ("9 is there" in (outcome.inputs[0].message or "")) == (there == 9)


@pytest.mark.parametrize(("there", "calls"), [(5, ["read"]), (9, ["read", "read", "create"])])
def test_what_a_dead_worker_may_have_sent_is_read_before_anything_is_sent(there: int, calls: list[str]) -> None:
    service = Service()
    service.ledger.claim(ASKED, START, START + timedelta(seconds=45))
    service.hubspot.limits[key(3)] = there
    service.clock.advance(46)

    (outcome,) = service.run(ASKED)

    assert outcome.status is Status.COMPLETE
    assert service.hubspot.calls == calls


def test_the_doubt_that_a_request_brings_with_it_is_cleared_up_first() -> None:
    service = Service(FakeHubSpot(state={("deals", "contacts"): {key(3): 5}}))
    replayed = Request(ASKED.envelope, Trigger.WEBHOOK, "m-2", START, doubt=Doubt(since=START))

    (outcome,) = service.run(replayed)

    assert only(outcome)[0] is Result.APPLIED
    assert service.hubspot.calls == ["read"]


# ------------------------------------------------------------------------------------------- COMPLETE, and it is not so
IN_VAIN = f"HubSpot answered COMPLETE {SENT_IN_VAIN} times, gave no error, and did not set it"


def test_an_answer_that_sets_nothing_and_says_complete_is_sent_again_until_it_is_taken_at_what_it_does() -> None:
    service = Service(FakeHubSpot(replies=[answer([])] * 20))

    outcome = service.run_until_final(ASKED)

    assert (outcome.status, outcome.doubt) == (Status.REJECTED, None)
    assert only(outcome) == (Result.REJECTED, IN_VAIN)
    assert len(service.hubspot.created) >= SENT_IN_VAIN


def test_what_was_sent_in_vain_is_sent_as_often_as_it_is_said() -> None:
    service = Service(FakeHubSpot(replies=[answer([])] * 20))

    service.run_until_final(ASKED)

    assert len(service.hubspot.created) == SENT_IN_VAIN


def test_other_failures_do_not_count_as_sent_in_vain_and_do_not_end_the_count() -> None:
    empty = [answer([])] * 20
    service = Service(FakeHubSpot(replies=[empty[0], failed(503), empty[0], failed(522), *empty]))

    outcome = service.run_until_final(ASKED)

    assert only(outcome) == (Result.REJECTED, IN_VAIN)
    assert len(service.hubspot.created) >= SENT_IN_VAIN + 2


def test_a_number_that_hubspot_echoes_and_keeps_instead_of_ours_is_a_refusal() -> None:
    service = Service(FakeHubSpot(replies=[answer([echo(ASKED.envelope.inputs[0], 7)])]))

    (outcome,) = service.run(ASKED)

    assert outcome.status is Status.REJECTED
    assert only(outcome) == (Result.REJECTED, "HubSpot set 7 instead")
    assert service.hubspot.calls == ["create", "read", "read"]


def test_an_echo_of_no_number_sets_nothing() -> None:
    row = {**echo(ASKED.envelope.inputs[0]), "userEnforcedMaxToObjectIds": None}
    service = Service(FakeHubSpot(replies=[answer([row])] * 20))

    assert only(service.run_until_final(ASKED)) == (Result.REJECTED, IN_VAIN)


def test_an_echo_of_another_number_is_no_refusal_when_ours_is_there() -> None:
    row = echo(ASKED.envelope.inputs[0], 7)
    service = Service(FakeHubSpot(replies=[answer([row])], reads=[{key(3): 7}, {key(3): 5}]))

    (outcome,) = service.run(ASKED)

    assert only(outcome) == (Result.APPLIED, "proved by reading back")


def test_an_echo_of_a_number_that_is_not_there_is_sent_again() -> None:
    row = echo(ASKED.envelope.inputs[0], 7)
    service = Service(FakeHubSpot(replies=[answer([row])], reads=[{}, {}]))

    (outcome,) = service.run(ASKED)

    assert only(outcome) == (Result.APPLIED, None)
    assert service.hubspot.calls == ["create", "read", "read", "create"]


# ------------------------------------------------------------------------------------------------- refused: it is there
def refused_whole(message: str) -> Any:
    return failed(400, message)


def refused_within_a_207(message: str) -> Any:
    return answer([], http_status=207, errors=[{"message": message}], numErrors=1)


modes = pytest.mark.parametrize("mode", [refused_whole, refused_within_a_207])
EXISTS = "a limit for typeId 3 already exists"


@modes
@pytest.mark.parametrize(
    ("there", "expected", "status"),
    [
        (5, (Result.UNCHANGED, None), Status.COMPLETE),
        (9, (Result.REJECTED, EXISTS), Status.REJECTED),
        (None, (Result.REJECTED, EXISTS), Status.REJECTED),
    ],
)
def test_a_limit_that_exists_already_is_unchanged_if_it_has_the_number_asked_for(
    mode: Any, there: int | None, expected: tuple[Result, str | None], status: Status
) -> None:
    service = Service(FakeHubSpot(replies=[mode(EXISTS)]))
    service.hubspot.limits[key(3)] = there

    (outcome,) = service.run(ASKED)

    assert (outcome.status, only(outcome)) == (status, expected)
    assert service.hubspot.calls == ["create", "read"]


@modes
def test_a_refusal_for_another_reason_is_not_looked_behind(mode: Any) -> None:
    service = Service(FakeHubSpot(replies=[mode("typeId 3 is bad")]))

    (outcome,) = service.run(ASKED)

    assert only(outcome) == (Result.REJECTED, "typeId 3 is bad")
    assert service.hubspot.calls == ["create"]


@modes
def test_whether_it_exists_is_found_out_later_when_it_cannot_be_read_now(mode: Any) -> None:
    service = Service(FakeHubSpot(replies=[mode(EXISTS)], reads=[failed(429)]))
    service.hubspot.limits[key(3)] = 5

    (first,) = service.run(ASKED)
    assert first.status is Status.DEFERRED
    assert first.retry_at == START + timedelta(seconds=10)
    assert first.doubt == Doubt(since=START, refused=True)

    # It was there before us, and is not ours.
    assert only(service.run_until_final(ASKED)) == (Result.UNCHANGED, None)
    assert service.hubspot.calls == ["create", "read", "read"]


@modes
def test_what_was_said_to_exist_and_is_not_there_is_sent_again(mode: Any) -> None:
    service = Service(FakeHubSpot(replies=[mode(EXISTS)], reads=[failed(429)]))

    outcome = service.run_until_final(ASKED)

    assert only(outcome) == (Result.APPLIED, None)
    assert service.hubspot.calls == ["create", "read", "read", "read", "create"]


@modes
def test_whether_it_exists_stays_unconfirmed_when_it_can_never_be_read(mode: Any) -> None:
    service = Service(FakeHubSpot(replies=[mode(EXISTS)], reads=[failed(404, "no reading here")]))

    (outcome,) = service.run(ASKED)

    assert only(outcome) == (Result.UNCONFIRMED, f"{EXISTS} And HubSpot refuses to be read: no reading here")
    assert (outcome.status, service.hubspot.calls) == (Status.UNCONFIRMED, ["create", "read"])


@modes
def test_a_pair_that_refuses_to_be_read_in_the_same_words_is_what_was_refused(mode: Any) -> None:
    words = "dealz conflict: no object type of that name exists"  # which could be about a limit that exists
    service = Service(FakeHubSpot(replies=[mode(words)], reads=[failed(400, words)]))

    (outcome,) = service.run(ASKED)

    assert only(outcome)[0] is Result.REJECTED


@modes
@pytest.mark.parametrize("words", [EXISTS, "typeId 3 is bad"])
def test_a_refusal_after_a_doubt_is_read_back_because_the_first_send_may_be_its_cause(mode: Any, words: str) -> None:
    # The first send was applied, but only the third reading shows it.
    service = Service(FakeHubSpot(replies=[failed(503), mode(words)], reads=[{}, {}, {key(3): 5}]))

    (outcome,) = service.run(ASKED)

    assert only(outcome) == (Result.APPLIED, "proved by reading back")
    assert service.hubspot.calls == ["create", "read", "read", "create", "read"]


@modes
def test_a_refusal_after_a_doubt_is_believed_only_when_reads_cannot_lag_behind_the_doubt_any_more(mode: Any) -> None:
    service = Service(FakeHubSpot(replies=[failed(503), *(mode("typeId 3 is bad") for _ in range(9))], reads=[{}] * 9))

    (first,) = service.run(ASKED)
    assert first.status is Status.DEFERRED
    assert first.retry_at == START + timedelta(seconds=READ_LAG)

    service.clock.time = first.retry_at
    (second,) = service.run(ASKED)
    assert (second.status, only(second)) == (Status.REJECTED, (Result.REJECTED, "typeId 3 is bad"))


@modes
def test_a_reading_is_as_old_as_its_call_however_late_its_reader_wakes_up(mode: Any) -> None:
    service = Service(FakeHubSpot(replies=[failed(503), mode("typeId 3 is bad")]))

    def read_and_stand_still() -> Limits:
        service.clock.advance(2 * READ_LAG)
        return {}

    service.hubspot.reads = [{}, {}, read_and_stand_still]

    (outcome,) = service.run(ASKED, seconds=600)

    assert (outcome.status, only(outcome)[0]) == (Status.DEFERRED, Result.PENDING)


@modes
def test_a_doubt_is_as_young_as_its_answer_however_late_it_was_sent(mode: Any) -> None:
    service = Service(FakeHubSpot(reads=[{}] * 3))

    def stand_still_and_send(inputs: Any) -> HubSpotFailure:
        service.clock.advance(2 * READ_LAG)
        return failed(503)

    service.hubspot.replies = [stand_still_and_send, mode("typeId 3 is bad")]

    (outcome,) = service.run(ASKED, seconds=600)

    assert (outcome.status, only(outcome)[0]) == (Status.DEFERRED, Result.PENDING)


# --------------------------------------------------------------------------------------------------------- in two calls
TWO = request("m-1", (3, 5), (4, 5))


def test_a_doubt_about_one_call_is_not_cleared_by_what_is_known_of_another() -> None:
    service = Service(FakeHubSpot(replies=[failed(503), failed(503)], reads=[failed(503), {}, {}]), batch_size=1)

    (outcome,) = service.run(TWO)

    assert [item.result for item in outcome.inputs] == [Result.PENDING, Result.APPLIED]
    assert outcome.doubt is not None
    assert not outcome.doubt.cleared


def test_what_was_applied_by_the_first_answer_is_not_sent_again_when_the_rest_is_refused_as_a_whole() -> None:
    first = [echo(item) for item in request("m-1", (21, 1), (22, 2)).envelope.inputs]
    service = Service(FakeHubSpot(replies=[answer(first), failed(400, "bad")]))

    service.run(request("m-1", (21, 1), (22, 2), (23, 3), (24, 4)))

    assert service.hubspot.sent[:2] == [[21, 22, 23, 24], [23, 24]]
    assert all(n in (23, 24) for sent in service.hubspot.sent[2:] for n in sent)


# --------------------------------------------------------------------------------------------------- waits within a run
def test_what_was_not_applied_is_sent_again_within_the_run() -> None:
    service = Service(FakeHubSpot(replies=[failed(522), failed(522)]))

    (outcome,) = service.run(ASKED)

    assert only(outcome) == (Result.APPLIED, None)
    assert service.hubspot.calls == ["create"] * 3


def test_one_run_sends_three_times_at_most_and_waits_five_seconds_at_most() -> None:
    service = Service(FakeHubSpot(replies=[failed(423) for _ in range(9)]))

    (outcome,) = service.run(ASKED)

    assert outcome.status is Status.DEFERRED
    assert len(service.hubspot.created) == SENDS
    moments = [attempt.at for attempt in outcome.attempts]
    assert all(later - earlier >= timedelta(seconds=2) for earlier, later in pairwise(moments))
    assert (service.clock() - START).total_seconds() <= LONGEST_WAIT


def test_what_only_the_owner_can_mend_is_not_sent_again_within_the_run() -> None:
    service = Service(FakeHubSpot(replies=[failed(403) for _ in range(9)]))

    (outcome,) = service.run(ASKED)

    assert outcome.status is Status.DEFERRED
    assert service.hubspot.calls == ["create"]


def test_no_retry_after_is_too_long_for_a_calendar() -> None:
    service = Service(FakeHubSpot(replies=[failed(477, retry_after=1e13)]))

    (outcome,) = service.run(ASKED)

    assert outcome.status is Status.DEFERRED


def test_a_run_whose_time_is_nearly_up_does_not_wait() -> None:
    service = Service(FakeHubSpot(replies=[failed(423)]))

    (outcome,) = service.run(ASKED, seconds=SHORT - 2)

    assert outcome.status is Status.DEFERRED
    assert service.clock() == START
    assert outcome.retry_at == START + timedelta(seconds=2)


def test_patience_is_one_for_the_whole_run() -> None:
    service = Service(FakeHubSpot(replies=[failed(423) for _ in range(99)]), batch_size=1)

    service.run(request("m-1", *((n, 1) for n in range(1, 9))))

    assert (service.clock() - START).total_seconds() <= LONGEST_WAIT


# ------------------------------------------------------------------------------------------------------ as one property
UNCLEAR = ("503", "PROCESSING", "COMPLETE without an echo")
Seen = tuple[str, datetime]


@dataclass
class MoodyHubSpot(FakeHubSpot):
    """Goes through moods, and is well when they are over; what it keeps is shown by reads after a lag."""

    service: Service | None = None
    moods: list[tuple[str, bool]] = field(default_factory=list)  # of creates, and whether it applies what is unclear
    read_moods: list[str] = field(default_factory=list)
    lag: float = 0
    seen: list[Seen] = field(default_factory=list)
    kept: list[tuple[datetime, Limits]] = field(default_factory=list)

    def batch_create(self, token: str, pair: Pair, inputs: Sequence[LimitInput], seconds: float) -> Answer:
        assert self.service is not None
        now = self.service.clock()
        mood, applies = self.moods.pop(0) if self.moods else ("well", True)
        self.seen.append(("unclear" if mood in UNCLEAR else "create", now))
        if mood == "well" or (applies and mood in UNCLEAR):
            self.kept.append((now, {item.key: item.max_to_object_ids for item in inputs}))
        match mood:
            case "well":
                return answer([echo(item) for item in inputs])
            case "PROCESSING":
                return answer([], status="PROCESSING")
            case "COMPLETE without an echo":
                return answer([])
        raise failed(int(mood))

    def read_pair(self, token: str, pair: Pair, seconds: float) -> dict[LimitKey, int | None]:
        assert self.service is not None
        now = self.service.clock()
        if self.read_moods and (mood := self.read_moods.pop(0)) != "well":
            self.seen.append(("read in vain", now))
            raise failed(int(mood))
        shown = {k: v for at, limits in self.kept if at <= now - timedelta(seconds=self.lag) for k, v in limits.items()}
        self.seen.append(("there" if shown else "not there", now))
        return shown


@given(
    st.lists(st.tuples(st.sampled_from([*UNCLEAR, "522", "429", "423"]), st.booleans()), max_size=6),
    st.lists(st.sampled_from(["well", "503", "429", "403"]), max_size=8),
    st.sampled_from([0, 1, 3, 40]),
    st.sampled_from([SHORT - 2, SHORT, 30]),
)
def test_whatever_happens_nothing_is_sent_blindly_or_after_it_was_seen_and_success_is_never_claimed_without_it(
    moods: list[tuple[str, bool]], read_moods: list[str], lag: float, seconds: float
) -> None:
    hubspot = MoodyHubSpot(moods=moods, read_moods=read_moods, lag=lag)
    hubspot.service = service = Service(hubspot)
    for _ in range(60):
        (outcome,) = service.run(ASKED, seconds=seconds)
        if outcome.status.final:
            break
        service.clock.time = max(service.clock(), outcome.retry_at or START)

    assert outcome.status is Status.COMPLETE
    assert hubspot.kept[-1][1] == {key(3): 5}
    doubtful: list[datetime] | None = None  # the readings since an unclear send that did not show it
    for what, at in hubspot.seen:
        if what == "not there" and doubtful is not None:
            doubtful.append(at)
        if what in ("create", "unclear"):
            if doubtful is not None:
                assert len(doubtful) >= 2
                assert doubtful[-1] - doubtful[0] >= timedelta(seconds=PAUSE)
            doubtful = [] if what == "unclear" else None
    assert "there" not in [what for what, _ in hubspot.seen[:-1]]
