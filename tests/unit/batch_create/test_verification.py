"""A call that came to no clear answer can land late: then the pair is read, and the younger number set again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from aws.dynamodb import Change
from batch_create.handler import run
from batch_create.ports import Point
from ledger.leases import Lease, Wanted
from ledger.ledger import Ledger
from ledger.register import LANDING, Applied, Register, register
from model.errors import HubSpotFailure, LedgerUnavailable
from model.outcomes import Age, Doubt, Outcome, Request, Result, Status
from model.pair import Pair
from model.records import milliseconds
from tests.support.fakes import PAIR, START, FakeHubSpot, Service, failed, key, request

SECOND = timedelta(seconds=1)
LAG = timedelta(minutes=5)
WINDOW = Register(LAG).window / 1000
OLDER, YOUNGER = request("m-1", (3, 5)), request("m-2", (3, 7), at=START + SECOND)


class Killed(BaseException):
    """Ends a worker where it stands."""


class Scene(Service):
    """A deployment in which an older request's call is still under way when a younger one's is answered."""

    def __init__(self) -> None:
        super().__init__(FakeHubSpot(replies=[failed(503)], reads=[failed(503)]))
        (doubtful,) = self.run(OLDER)
        assert doubtful.doubt == Doubt(since=START)
        self.clock.advance(30)
        (applied,) = self.run(YOUNGER)
        assert became(applied) == (Result.APPLIED, None)
        self.hubspot.calls.clear()

    @property
    def due(self) -> list[object]:
        return list(self.leases.due("default", self.clock()))

    @property
    def register(self) -> Register:
        item = self.table.get(Wanted("default", PAIR).item_id)
        assert item is not None
        return register(item["register"], LAG)

    def verify(self) -> None:
        """What is done with the pairs that are due."""
        assert run([], 30, self.ports, verify=[("default", PAIR)]) == []


def due(service: Service) -> Iterator[tuple[str, Pair]]:
    """The pairs that the sweep would ask for."""
    return (("default", pair) for pair in service.leases.due("default", service.clock()))


def became(outcome: Outcome) -> tuple[Result, str | None]:
    (item,) = outcome.inputs
    return item.result, item.superseded_by


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


OLDEST, BETWEEN = request("m-0", (3, 4), at=START - SECOND), request("m-1b", (3, 6), at=START + SECOND / 2)


def two_in_doubt() -> Service:
    """Two requests in doubt, and an older one waits for them."""
    scene = Service(FakeHubSpot(replies=[failed(503), failed(503)], reads=[failed(503), {}, failed(503)]))
    for each in (OLDER, YOUNGER, OLDEST):
        (outcome,) = scene.run(each)
        assert outcome.status is Status.DEFERRED
    scene.clock.advance(WINDOW)
    return scene


def test_given_an_older_calls_number_a_younger_send_stays_in_doubt_while_its_request_is_open() -> None:
    scene = two_in_doubt()
    scene.hubspot.limits[key(3)] = 5  # it may have landed over the younger one's

    (waits,) = scene.run(OLDEST)

    assert (became(waits), waits.status) == ((Result.PENDING, None), Status.DEFERRED)
    assert became(scene.run_until_final(YOUNGER)) == (Result.APPLIED, None)
    assert became(scene.run_until_final(OLDEST)) == (Result.SUPERSEDED, "m-2")
    assert scene.hubspot.limits == {key(3): 7}


@pytest.mark.parametrize(
    ("there", "became_of_it"),
    [(7, (Result.SUPERSEDED, "m-2")), (5, (Result.SUPERSEDED, "m-2")), (9, (Result.APPLIED, None))],
)
def test_given_younger_sends_whose_requests_were_given_up_the_youngest_stands_over_the_older_ones_number(
    there: int, became_of_it: tuple[Result, str | None]
) -> None:
    scene = two_in_doubt()
    scene.hubspot.limits[key(3)] = there
    for each in (OLDER, YOUNGER):
        scene.ledger.fail(each, "given up", "", scene.clock())

    assert became(scene.run_until_final(OLDEST)) == became_of_it
    assert scene.hubspot.limits == {key(3): 4 if there == 9 else 7}  # nothing is left to see of both sends


def test_given_a_ledger_that_does_not_tell_whether_a_send_was_made_its_number_proves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = two_in_doubt()
    scene.hubspot.limits[key(3)] = 7  # somebody else's
    # Of which nothing was sent: it waited for its turn.
    no_doubt = Change(YOUNGER.id, {"waits": 1}, ["doubt"], {"status": Status.DEFERRED})
    assert all(written.done for written in scene.table.write_many([no_doubt]))
    scene.ledger.fail(YOUNGER, "given up", "", scene.clock())
    assert became(scene.outcome(YOUNGER)) == (Result.PENDING, None)

    def throttled(*_: object) -> None:
        raise LedgerUnavailable("throttled")

    with monkeypatch.context() as broken:
        broken.setattr(Ledger, "get", throttled)
        run([OLDEST], 30, scene.ports)
    assert scene.outcome(OLDEST).status is Status.DEFERRED

    assert became(scene.run_until_final(OLDEST)) == (Result.APPLIED, None)


def test_given_a_pair_that_is_read_for_another_send_a_younger_one_in_doubt_is_judged_by_what_is_there() -> None:
    scene = Scene()
    youngest = request("m-3", (3, 9), at=START + 40 * SECOND)
    scene.hubspot.replies, scene.hubspot.reads, scene.hubspot.applies = [failed(503)], [{}, failed(503)], True
    scene.run(youngest)
    scene.clock.advance(WINDOW)

    scene.verify()

    assert scene.hubspot.limits == {key(3): 9}
    assert became(scene.run_until_final(BETWEEN)) == (Result.SUPERSEDED, "m-3")
    assert became(scene.run_until_final(youngest)) == (Result.APPLIED, None)


def test_given_a_number_that_cannot_be_set_again_it_is_tried_no_more() -> None:
    scene = Scene()
    scene.hubspot.limits[key(3)] = 5
    scene.hubspot.replies = [failed(400, "typeId 3 is above the object limit")]
    scene.clock.advance(WINDOW)

    scene.verify()

    assert scene.hubspot.calls == ["read", "create"]
    assert scene.due == []


def test_given_a_younger_send_that_cannot_be_judged_yet_no_number_is_put_back_over_it() -> None:
    scene = Scene()
    youngest = request("m-3", (3, 9), at=scene.clock())
    scene.clock.advance(WINDOW - 60)
    scene.hubspot.replies, scene.hubspot.reads = [failed(503)], [{}, failed(503)]
    scene.run(youngest)  # which was applied, and undone
    scene.hubspot.limits[key(3)] = 5
    scene.hubspot.calls.clear()
    scene.clock.advance(60)

    scene.verify()
    assert scene.hubspot.calls == ["read"]
    assert scene.due == [PAIR]

    scene.ledger.fail(youngest, "given up", "", scene.clock())
    scene.clock.advance(WINDOW)
    scene.verify()
    assert scene.hubspot.limits == {key(3): 9}  # the youngest that may have been accepted


def test_given_a_number_that_was_never_certain_and_is_refused_the_one_before_it_is_set_again() -> None:
    scene = Scene()
    now, youngest = milliseconds(scene.clock()), request("m-3", (3, 9), at=scene.clock())
    (lease,) = scene.leases.take_many([Wanted("default", PAIR)], "one", scene.clock(), scene.clock() + SECOND)
    assert isinstance(lease, Lease)
    lease.register.apply(key(3), Applied(youngest_age(youngest), "m-3", 9, now, now, unconfirmed=True))
    assert scene.leases.give_back(lease, scene.clock())
    scene.hubspot.limits[key(3)] = 5  # the older one's call has landed
    scene.hubspot.replies = [failed(400, "9 is above the object limit")]
    scene.clock.advance(WINDOW)

    scene.verify()
    assert scene.due == [PAIR]
    scene.verify()

    assert scene.hubspot.calls == ["read", "create", "read", "create"]
    assert scene.hubspot.limits == {key(3): 7}


def youngest_age(asked: Request) -> Age:
    return milliseconds(asked.requested_at), asked.id


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
