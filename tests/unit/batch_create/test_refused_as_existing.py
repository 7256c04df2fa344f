"""A refusal is looked behind where the limit may be there already, or where an earlier send may be its cause."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ledger.register import Register
from model.errors import HubSpotFailure
from model.outcomes import Doubt, Result, Status
from tests.support.fakes import START, FakeHubSpot, Limits, Service, answer, failed, key
from tests.support.one_limit import ASKED, only

WINDOW = Register(timedelta(minutes=5)).window / 1000


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
    assert first.retry_at == START + timedelta(seconds=WINDOW)

    service.clock.time = first.retry_at
    (second,) = service.run(ASKED)
    assert (second.status, only(second)) == (Status.REJECTED, (Result.REJECTED, "typeId 3 is bad"))


@modes
def test_a_reading_is_as_old_as_its_call_however_late_its_reader_wakes_up(mode: Any) -> None:
    service = Service(FakeHubSpot(replies=[failed(503), mode("typeId 3 is bad")]))

    def read_and_stand_still() -> Limits:
        service.clock.advance(2 * WINDOW)
        return {}

    service.hubspot.reads = [{}, {}, read_and_stand_still]

    (outcome,) = service.run(ASKED, seconds=600)

    assert (outcome.status, only(outcome)[0]) == (Status.DEFERRED, Result.PENDING)


@modes
def test_a_doubt_is_as_young_as_its_answer_however_late_it_was_sent(mode: Any) -> None:
    service = Service(FakeHubSpot(reads=[{}] * 3))

    def stand_still_and_send(inputs: Any) -> HubSpotFailure:
        service.clock.advance(2 * WINDOW)
        return failed(503)

    service.hubspot.replies = [stand_still_and_send, mode("typeId 3 is bad")]

    (outcome,) = service.run(ASKED, seconds=600)

    assert (outcome.status, only(outcome)[0]) == (Status.DEFERRED, Result.PENDING)
