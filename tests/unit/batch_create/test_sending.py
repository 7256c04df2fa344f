"""One run sends again and waits within bounds, and tells whoever waits what only the owner can mend."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from batch_create.sending import SENDS
from batch_create.wait_budget import LONGEST_WAIT
from model.outcomes import Doubt, Request, Result, Status
from tests.support.fakes import START, FakeHubSpot, Service, answer, echo, failed, request
from tests.support.one_limit import ASKED, SHORT, only


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


def test_what_was_applied_by_the_first_answer_is_not_sent_again_when_the_rest_is_refused_as_a_whole() -> None:
    first = [echo(item) for item in request("m-1", (21, 1), (22, 2)).envelope.inputs]
    service = Service(FakeHubSpot(replies=[answer(first), failed(400, "bad")]))

    service.run(request("m-1", (21, 1), (22, 2), (23, 3), (24, 4)))

    assert service.hubspot.sent[:2] == [[21, 22, 23, 24], [23, 24]]
    assert all(n in (23, 24) for sent in service.hubspot.sent[2:] for n in sent)


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
