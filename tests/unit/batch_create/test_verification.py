"""A call that came to no clear answer can land late: then the pair is read, and the younger number set again."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from batch_create.handler import run
from batch_create.ports import Point
from ledger.leases import Lease, Wanted
from ledger.register import LANDING
from model.errors import HubSpotFailure
from model.outcomes import Result, Status
from tests.support.fakes import PAIR, START, FakeHubSpot, Service, failed, key, request
from tests.support.late_calls import OLDER, SECOND, WINDOW, YOUNGER, Scene, became, due


class Killed(BaseException):
    """Ends a worker where it stands."""


def test_given_a_call_of_an_older_request_that_lands_late_the_younger_number_is_set_again() -> None:
    scene = Scene()
    assert scene.due == []
    scene.hubspot.limits[key(3)] = 5
    scene.clock.advance(WINDOW)
    assert scene.due == [PAIR]

    scene.verify()

    assert scene.hubspot.calls == ["read", "create"]
    assert scene.hubspot.limits == {key(3): 7}
    assert scene.due == []
    assert became(scene.run_until_final(OLDER)) == (Result.SUPERSEDED, "m-2")
    assert scene.hubspot.calls == ["read", "create"]


def test_given_a_number_that_was_there_before_a_reading_does_not_prove_that_its_call_has_landed() -> None:
    service = Service(FakeHubSpot(replies=[failed(503)], state={PAIR: {key(3): 5}}))

    (older,) = service.run(OLDER)
    assert became(older) == (Result.APPLIED, None)  # which is true: it is there
    service.clock.advance(30)
    service.run(YOUNGER)
    service.hubspot.limits[key(3)] = 5  # only now the call lands
    service.clock.advance(WINDOW)
    run([], 30, service.ports, verify=list(due(service)))

    assert service.hubspot.limits == {key(3): 7}


def test_given_a_call_that_has_not_landed_the_pair_is_read_once_and_left_alone() -> None:
    scene = Scene()
    scene.clock.advance(WINDOW)

    scene.verify()
    scene.verify()

    assert scene.hubspot.calls == ["read"]
    assert scene.hubspot.limits == {key(3): 7}
    assert scene.due == []


@pytest.mark.parametrize("there", [9, 500_000, None])
def test_given_a_number_that_is_not_ours_it_is_left_alone(there: int | None) -> None:
    scene = Scene()
    scene.hubspot.limits[key(3)] = there
    scene.clock.advance(WINDOW)

    scene.verify()

    assert scene.hubspot.calls == ["read"]
    assert scene.hubspot.limits == {key(3): there}
    assert scene.due == []


def test_given_a_pair_whose_time_has_not_come_it_is_not_read() -> None:
    scene = Scene()
    scene.clock.advance(WINDOW - 31)

    scene.verify()

    assert scene.hubspot.calls == []
    scene.clock.advance(1)
    assert scene.due == [PAIR]


def test_given_a_request_for_the_pair_when_its_time_has_come_it_is_verified_in_the_same_run() -> None:
    scene = Scene()
    scene.hubspot.limits[key(3)] = 5
    scene.clock.advance(WINDOW)

    scene.run(request("m-3", (4, 1), at=scene.clock()))

    assert scene.hubspot.calls == ["read", "create", "create"]
    assert scene.hubspot.limits == {key(3): 7, key(4): 1}
    assert scene.due == []


@pytest.mark.parametrize("failure", [failed(503), failed(429), failed(403)])
def test_given_a_pair_that_cannot_be_read_now_it_stays_due(failure: HubSpotFailure) -> None:
    scene = Scene()
    scene.hubspot.limits[key(3)] = 5
    scene.hubspot.reads = [failure]
    scene.clock.advance(WINDOW)

    scene.verify()
    assert scene.due == [PAIR]

    scene.verify()
    assert scene.hubspot.limits == {key(3): 7}
    assert scene.due == []


def test_given_a_pair_that_can_never_be_read_it_is_due_no_more() -> None:
    scene = Scene()
    scene.hubspot.reads = [failed(404)]
    scene.clock.advance(WINDOW)

    scene.verify()

    assert scene.due == []
    assert scene.hubspot.calls == ["read"]


def test_given_a_younger_send_that_can_never_be_read_older_requests_end_unconfirmed_too() -> None:
    scene = Service(FakeHubSpot(replies=[failed(503)], reads=[failed(503), failed(404)]))
    scene.run(YOUNGER)
    (waits,) = scene.run(OLDER)
    assert waits.status is Status.DEFERRED
    scene.clock.advance(WINDOW)

    (outcome,) = scene.run(OLDER)

    assert became(outcome)[0] is Result.UNCONFIRMED
    assert "outcome m-2" in (outcome.inputs[0].message or "")
    assert scene.hubspot.calls == ["create", "read", "read"]


def test_given_a_younger_send_that_a_reading_shows_it_wins_over_the_older_that_waits_for_it() -> None:
    scene = Service(FakeHubSpot(replies=[failed(503)], reads=[failed(503)], applies=True))
    scene.run(YOUNGER)
    scene.run(OLDER)
    scene.clock.advance(WINDOW)

    (outcome,) = scene.run(OLDER)

    assert became(outcome) == (Result.SUPERSEDED, "m-2")
    assert scene.hubspot.calls == ["create", "read", "read"]


def test_given_a_number_that_cannot_be_set_again_it_is_tried_no_more() -> None:
    scene = Scene()
    scene.hubspot.limits[key(3)] = 5
    scene.hubspot.replies = [failed(400, "typeId 3 is above the object limit")]
    scene.clock.advance(WINDOW)

    scene.verify()

    assert scene.hubspot.calls == ["read", "create"]
    assert scene.due == []


def test_given_a_number_that_is_set_again_without_a_clear_answer_it_is_looked_at_again() -> None:
    scene = Scene()
    scene.hubspot.limits[key(3)] = 5
    scene.hubspot.replies = [failed(503)] * 3
    scene.clock.advance(WINDOW)

    scene.verify()
    assert scene.hubspot.limits == {key(3): 5}
    moment: datetime = scene.clock()
    sent = scene.hubspot.calls.count("create")
    scene.clock.advance(60)
    scene.verify()
    assert scene.hubspot.calls.count("create") == sent  # it may be under way

    while scene.hubspot.limits[key(3)] == 5 and scene.clock() - moment < timedelta(hours=1):
        scene.clock.advance(60)
        if scene.due:
            scene.verify()
    assert scene.hubspot.limits == {key(3): 7}


def test_given_a_worker_that_died_and_may_have_set_a_number_again_that_is_awaited_first() -> None:
    scene = Scene()
    scene.hubspot.limits[key(3)] = 5
    scene.clock.advance(WINDOW)
    until = scene.clock() + timedelta(minutes=1)
    assert isinstance(scene.leases.take_many([Wanted("default", PAIR)], "dead", scene.clock(), until)[0], Lease)
    scene.clock.advance(90)

    scene.verify()
    scene.clock.advance(60)
    scene.verify()
    assert (scene.hubspot.calls, scene.due) == (["read", "read"], [PAIR])
    scene.clock.advance(LANDING.total_seconds())
    scene.verify()

    assert scene.hubspot.calls == ["read", "read", "read", "create"]
    assert scene.hubspot.limits == {key(3): 7}


def test_given_a_pair_that_another_worker_holds_it_stays_due() -> None:
    scene = Scene()
    scene.hubspot.limits[key(3)] = 5
    scene.clock.advance(WINDOW)
    now = scene.clock()
    (lease,) = scene.leases.take_many([Wanted("default", PAIR)], "another", now, now + 60 * SECOND)
    assert isinstance(lease, Lease)

    scene.verify()
    assert scene.hubspot.calls == []
    assert scene.due == [PAIR]

    assert scene.leases.give_back(lease, scene.clock())
    scene.verify()
    assert scene.hubspot.limits == {key(3): 7}


def test_given_a_dead_worker_what_it_may_have_sent_is_verified_when_a_younger_number_was_set() -> None:
    scene = Service()
    (first,) = scene.leases.take_many([Wanted("default", PAIR)], "first", START, START)
    assert isinstance(first, Lease)
    assert scene.leases.give_back(first, START)
    until = START + 45 * SECOND
    scene.leases.take_many([Wanted("default", PAIR, ("m-1",))], "dead", START, until)
    scene.ledger.claim(OLDER, "dead", START, until)
    scene.clock.advance(60)

    scene.run(replace(YOUNGER))
    scene.hubspot.limits[key(3)] = 5  # what the dead worker has sent lands after all
    scene.clock.advance(WINDOW)
    assert scene.leases.due("default", scene.clock()) == [PAIR]
    run([], 30, scene.ports, verify=[("default", PAIR)])

    assert scene.hubspot.limits == {key(3): 7}
    assert scene.leases.due("default", scene.clock() + timedelta(days=1)) == []


def test_given_a_worker_that_settled_and_died_what_landed_after_that_is_verified_however_long_its_lease_was() -> None:
    scene = Service(FakeHubSpot(replies=[failed(503)], reads=[failed(503)]), batch_size=1)
    scene.run(OLDER)  # whose call lands 100 seconds later
    scene.clock.advance(60)
    younger = request("m-2", (3, 7), at=scene.clock())
    passed: list[Point] = []

    def die(reached: Point) -> None:
        passed.append(reached)
        if passed.count(Point.BEFORE_SEND) == 3:  # a reading, and the first of two calls
            raise Killed

    with pytest.raises(Killed):
        run([younger, request("m-3", (4, 1), at=scene.clock())], 115, replace(scene.ports, reached=die))
    assert became(scene.outcome(younger)) == (Result.APPLIED, None)
    scene.clock.advance(40)
    scene.hubspot.limits[key(3)] = 5
    scene.clock.advance(100)

    scene.run(request("m-4", (5, 1), at=scene.clock()))  # by whoever takes over
    scene.clock.advance(WINDOW)
    assert scene.leases.due("default", scene.clock()) == [PAIR]
    run([], 30, scene.ports, verify=[("default", PAIR)])

    assert scene.hubspot.limits[key(3)] == 7
