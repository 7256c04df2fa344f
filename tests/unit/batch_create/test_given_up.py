"""A request is given up by the time since it was accepted, however often it was tried."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from ledger.replay import replay
from model.outcomes import Result, Status, Trigger
from tests.support.fakes import START, FakeHubSpot, Service, failed, key, request

HOUR = timedelta(hours=1)


def service(hubspot: FakeHubSpot, hours: int = 240) -> Service:
    """One that gives requests up after so many hours."""
    made = Service(hubspot)
    made.ports = replace(made.ports, give_up_after=hours * HOUR)
    return made


@pytest.mark.parametrize(("waited", "status"), [(239, Status.DEFERRED), (240, Status.FAILED), (400, Status.FAILED)])
def test_given_a_request_that_waits_it_is_given_up_ten_days_after_it_was_accepted(waited: int, status: Status) -> None:
    scene = service(FakeHubSpot(replies=[failed(423, "locked")] * 99))
    asked = request("m-1", (3, 5))
    scene.run(asked)

    scene.clock.time = START + waited * HOUR
    (outcome,) = scene.run(asked)

    assert outcome.status is status
    if status is Status.FAILED:
        assert outcome.reason == "given up after 240 hours: locked"
        assert (outcome.finished_at, outcome.retry_at, outcome.doubt) == (scene.clock(), None, None)
        assert [item.result for item in outcome.inputs] == [Result.PENDING]


def test_given_a_message_that_waited_for_the_ledger_its_time_counts_from_when_the_ledger_heard_of_it() -> None:
    scene = service(FakeHubSpot(replies=[failed(423)] * 99))
    scene.clock.time = START + 240 * HOUR
    asked = request("m-1", (3, 5), at=START)
    assert scene.run(asked)[0].status is Status.DEFERRED

    scene.clock.advance(239 * 3600)
    assert scene.run(asked)[0].status is Status.DEFERRED

    scene.clock.advance(2 * 3600)
    assert scene.run(asked)[0].status is Status.FAILED


def test_given_a_request_by_http_that_was_queued_for_long_its_time_counts_from_when_it_was_asked_for() -> None:
    scene = service(FakeHubSpot(replies=[failed(423)] * 99))
    asked = replace(request("m-1", (3, 5), at=START), trigger=Trigger.WEBHOOK)
    scene.ledger.accept(asked, START)

    scene.clock.time = START + 240 * HOUR

    assert scene.run(asked)[0].status is Status.FAILED


def test_given_a_request_in_doubt_that_is_given_up_it_is_unconfirmed_and_what_is_decided_stays() -> None:
    scene = service(FakeHubSpot(replies=[failed(503)], reads=[failed(503)] * 99, applies=True))
    asked = request("m-1", (3, 5))
    assert scene.run(asked)[0].doubt is not None

    scene.clock.advance(240 * 3600)
    (outcome,) = scene.run(asked)

    assert outcome.status is Status.FAILED
    assert [item.result for item in outcome.inputs] == [Result.UNCONFIRMED]
    assert outcome.doubt is None


def test_given_a_request_that_reads_did_not_show_and_that_is_given_up_before_it_is_sent_again_it_is_unconfirmed() -> (
    None
):
    scene = service(FakeHubSpot(replies=[failed(503), *[failed(429)] * 99], reads=[{}, {}]))
    asked = request("m-1", (3, 5))
    (waiting,) = scene.run(asked)
    assert waiting.doubt is not None
    assert waiting.doubt.cleared

    scene.clock.advance(240 * 3600)
    (outcome,) = scene.run(asked)

    assert outcome.status is Status.FAILED
    assert [item.result for item in outcome.inputs] == [Result.UNCONFIRMED]


def test_given_a_late_request_that_can_be_done_it_is_done() -> None:
    scene = service(FakeHubSpot(replies=[failed(423)]))
    asked = request("m-1", (3, 5))
    scene.run(asked)

    scene.clock.advance(999 * 3600)

    assert scene.run(asked)[0].status is Status.COMPLETE


def test_given_what_was_given_up_its_replay_has_ten_days_of_its_own_and_sets_nothing_younger_back() -> None:
    scene = service(FakeHubSpot(replies=[failed(423)] * 99))
    asked = request("m-1", (3, 5))
    scene.run(asked)
    scene.clock.advance(240 * 3600)
    (given_up,) = scene.run(asked)
    scene.hubspot.replies = []
    scene.run(request("m-2", (3, 9), at=scene.clock()))

    again = replay(given_up, "crm", scene.clock(), everything=False)
    (outcome,) = scene.run(again)

    assert given_up.status is Status.FAILED
    assert [item.result for item in outcome.inputs] == [Result.SUPERSEDED]
    assert scene.hubspot.limits == {key(3): 9}
