"""Whoever takes a pair finishes what a dead worker has left of it, before anything else is sent."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from aws.dynamodb import KEYS_IN_ONE_READ, Change, Table
from batch_create.handler import run
from batch_create.ports import Point
from ledger.claim import Adoption, Claim
from ledger.leases import Lease, Wanted
from ledger.ledger import Ledger
from model.errors import LedgerUnavailable
from model.outcomes import Doubt, Outcome, Request, Result, Status
from tests.support.aws import Deployment
from tests.support.fakes import PAIR, START, Clock, Service, answer, failed, key, ports, request

SECOND = timedelta(seconds=1)
OLDER, YOUNGER = request("m-1", (3, 5)), request("m-2", (3, 7), at=START + SECOND)
OTHER = request("m-3", (4, 1), at=START + 2 * SECOND)
POINTS = [point for point in Point if point not in (Point.AFTER_SEND, Point.BEFORE_CLAIM)]


class Killed(BaseException):
    """Ends a worker where it stands."""


class Scene(Service):
    """A deployment whose workers can die."""

    def dies(self, asked: Request, point: Point) -> None:
        """A worker dies at a point, and its leases end."""

        def die(reached: Point) -> None:
            if reached is point:
                raise Killed

        with pytest.raises(Killed):
            run([asked], 30, replace(self.ports, reached=die))
        self.clock.advance(60)

    def dead(self, *asked: Request, settled: bool = False) -> list[Claim]:
        """The claims of a worker that has died since it took the pair for its requests."""
        now, until, holder = self.clock(), self.clock() + 45 * SECOND, f"dead with {asked[0].id}"
        ids = tuple(each.id for each in asked)
        if not self.table.get(Wanted("default", PAIR).item_id):
            self.ready()
        (lease,) = self.leases.take_many([Wanted("default", PAIR, ids)], holder, now, until)
        assert isinstance(lease, Lease)
        claims = [self.ledger.claim(each, holder, now, until) for each in asked]
        if settled:
            for claim in claims:
                inputs = tuple(replace(item, result=Result.APPLIED) for item in claim.outcome.inputs)
                done = replace(claim.outcome, status=Status.COMPLETE, inputs=inputs, finished_at=now)
                self.ledger.settle(done, claim.fence)
        self.clock.advance(60)
        return claims

    def ready(self) -> None:
        """Let the pair have been held before."""
        (lease,) = self.leases.take_many([Wanted("default", PAIR)], "first", START, START)
        assert isinstance(lease, Lease)
        assert self.leases.give_back(lease, START)


def became(outcome: Outcome) -> tuple[Result, str | None]:
    (item,) = outcome.inputs
    return item.result, item.superseded_by


def test_given_a_message_again_whose_request_a_dead_worker_had_settled_the_older_is_not_sent() -> None:
    scene = Scene()
    scene.ready()
    scene.hubspot.limits[key(3)] = 7
    scene.dead(YOUNGER, settled=True)

    older, younger = scene.run(OLDER, YOUNGER)

    assert became(younger) == (Result.APPLIED, None)
    assert became(older) == (Result.SUPERSEDED, "m-2")
    assert scene.hubspot.created == []


def test_given_an_id_that_is_another_pairs_a_dead_worker_leaves_nothing_of_it() -> None:
    scene = Scene()
    elsewhere = request("m-1", (3, 5), fromObjectType="companies")
    scene.hubspot.replies = [failed(423)]
    scene.run(elsewhere)
    (lease,) = scene.leases.take_many([Wanted("default", PAIR)], "first", START, START)
    assert isinstance(lease, Lease)
    assert scene.leases.give_back(lease, START)
    scene.leases.take_many([Wanted("default", PAIR, ("m-1",))], "dead", scene.clock(), scene.clock() + 45 * SECOND)
    scene.clock.advance(60)

    (outcome,) = scene.run(request("m-0", (3, 4), at=START - SECOND))

    assert became(outcome) == (Result.APPLIED, None)
    assert scene.hubspot.limits == {key(3): 4}


@pytest.mark.parametrize("point", POINTS)
def test_given_a_worker_that_died_with_the_younger_request_when_the_older_comes_the_younger_wins(point: Point) -> None:
    scene = Scene()
    scene.dies(YOUNGER, point)

    scene.run(OLDER)

    assert scene.hubspot.limits == {key(3): 7}
    assert became(scene.outcome(YOUNGER)) == (Result.APPLIED, None)
    assert became(scene.run_until_final(OLDER)) == (Result.SUPERSEDED, "m-2")
    assert scene.hubspot.limits == {key(3): 7}


@pytest.mark.parametrize("point", POINTS)
def test_given_a_worker_that_died_with_the_older_request_when_the_younger_comes_the_younger_wins(point: Point) -> None:
    scene = Scene()
    scene.dies(OLDER, point)

    scene.run(YOUNGER)

    assert scene.hubspot.limits == {key(3): 7}
    assert became(scene.outcome(YOUNGER)) == (Result.APPLIED, None)
    assert scene.run_until_final(OLDER).status is Status.COMPLETE
    assert scene.hubspot.limits == {key(3): 7}


def test_given_orphans_they_are_read_back_and_run_in_the_call_of_whoever_takes_over() -> None:
    scene = Scene()
    scene.dead(OLDER, request("m-2", (5, 2)))

    (outcome,) = scene.run(OTHER)

    assert scene.hubspot.calls == ["read", "read", "create"]
    assert [sorted(sent) for sent in scene.hubspot.sent] == [[3, 4, 5]]
    assert outcome.status is Status.COMPLETE
    assert [scene.outcome(OLDER).status, scene.outcome(request("m-2", (5, 2))).status] == [Status.COMPLETE] * 2


def test_given_two_workers_that_died_in_turn_what_both_have_left_is_run() -> None:
    scene = Scene()
    scene.dead(OLDER)
    scene.dead(YOUNGER)

    scene.run(OTHER)

    assert scene.hubspot.limits == {key(3): 7, key(4): 1}
    assert became(scene.outcome(OLDER)) == (Result.SUPERSEDED, "m-2")


def test_given_a_worker_that_settled_and_died_before_it_recorded_that_what_it_set_is_known() -> None:
    scene = Scene()
    scene.hubspot.limits[key(3)] = 7
    scene.dead(YOUNGER, settled=True)

    (outcome,) = scene.run(OLDER)

    assert became(outcome) == (Result.SUPERSEDED, "m-2")
    assert scene.hubspot.created == []


def test_given_a_worker_that_recorded_a_request_and_died_before_it_was_settled_it_is_not_sent_again() -> None:
    scene = Scene()
    scene.ready()
    now, until = START, START + 45 * SECOND
    (lease,) = scene.leases.take_many([Wanted("default", PAIR, ("m-1",))], "dead", now, until)
    assert isinstance(lease, Lease)
    claim = scene.ledger.claim(OLDER, "dead", now, until)
    done = tuple(replace(item, result=Result.APPLIED) for item in claim.outcome.inputs)
    lease.register.enter(replace(claim.outcome, inputs=done), 0)
    scene.hubspot.limits[key(3)] = 5
    assert scene.leases.give_back(lease, now)
    scene.clock.advance(60)

    (outcome,) = scene.run(OLDER)

    assert became(outcome) == (Result.APPLIED, None)
    assert scene.hubspot.created == []


def test_given_an_orphan_that_another_worker_runs_it_is_left_to_that_one_and_not_sent_over() -> None:
    scene = Scene()
    scene.dead(YOUNGER)
    scene.ledger.claim(YOUNGER, "another", scene.clock(), scene.clock() + 45 * SECOND)

    (outcome,) = scene.run(OLDER)

    assert outcome.status is Status.DEFERRED
    assert "younger request m-2" in (outcome.reason or "")
    assert scene.hubspot.created == []
    assert scene.outcome(YOUNGER).status is Status.RUNNING


def test_given_an_orphan_that_was_deferred_in_doubt_no_older_one_is_sent() -> None:
    scene = Scene()
    (claim,) = scene.dead(YOUNGER)
    doubtful = replace(
        claim.outcome, status=Status.DEFERRED, doubt=Doubt(since=scene.clock()), retry_at=scene.clock() + SECOND
    )
    scene.ledger.settle(doubtful, claim.fence)

    (outcome,) = scene.run(OLDER)

    assert outcome.status is Status.DEFERRED
    assert scene.hubspot.created == []


class Forgetful(Ledger):
    """Cannot be asked what was left: not at all, or not so that all of it is named."""

    def __init__(self, table: Table, named: bool | None) -> None:
        super().__init__(table, timedelta(days=400))
        self._named = named

    def adopt(self, lease: Lease, naming: Change, now: datetime) -> Adoption:
        if self._named is None:
            raise LedgerUnavailable("throttled")
        return replace(super().adopt(lease, naming, now), named=self._named)


@pytest.mark.parametrize("named", [None, False])
def test_given_orphans_that_cannot_be_asked_for_nothing_is_sent_and_they_stay_named(named: bool | None) -> None:
    scene = Scene()
    scene.dead(YOUNGER)
    work = scene.ports
    scene.ports = replace(work, ledger=Forgetful(scene.table, named))

    (outcome,) = scene.run(OLDER)

    assert outcome.status is Status.DEFERRED
    assert outcome.reason == "the ledger could not be asked what an earlier worker has sent"
    assert scene.hubspot.calls == []
    item = scene.table.get(Wanted("default", PAIR).item_id)
    assert item is not None
    assert item["intent"] == "m-2 m-1"

    scene.ports = work
    scene.clock.advance(60)
    (waits,) = scene.run(OLDER)
    assert waits.status is Status.DEFERRED or became(waits) == (Result.SUPERSEDED, "m-2")
    assert scene.run_until_final(YOUNGER).status is Status.COMPLETE
    assert became(scene.run_until_final(OLDER)) == (Result.SUPERSEDED, "m-2")
    assert scene.hubspot.limits == {key(3): 7}


def test_given_an_orphan_that_was_filed_as_it_was_spelt_it_is_filed_by_its_pair() -> None:
    scene = Scene()
    scene.dead(YOUNGER)
    spelt = Change(YOUNGER.id, {"pairKey": "default#deals#contacts"}, (), {"status": Status.RUNNING})
    assert all(written.done for written in scene.table.write_many([spelt]))

    scene.run(OLDER)

    item = scene.table.get(YOUNGER.id)
    assert item is not None
    assert item["pairKey"] == "default#0-3#0-1"


def test_given_an_orphan_whose_caller_has_gone_when_the_portal_is_misconfigured_it_waits() -> None:
    scene = Scene()
    scene.dead(replace(YOUNGER, interactive=True))
    scene.hubspot.reads = [failed(403)] * 9
    scene.hubspot.replies = [failed(403)] * 9

    scene.run(OLDER)

    assert scene.outcome(YOUNGER).status is Status.DEFERRED


def test_given_an_orphan_that_hubspot_refuses_the_older_request_is_sent_only_when_that_is_certain() -> None:
    scene = Scene()
    scene.dead(YOUNGER)
    refuse = answer([], http_status=207, errors=[{"message": "typeId 3: 7 is too high"}])
    scene.hubspot.replies = [lambda inputs: refuse] * 2

    scene.run(OLDER)
    assert scene.hubspot.limits == {}

    scene.hubspot.replies = [lambda inputs: refuse]
    moment: datetime = scene.clock()
    rejected = scene.run_until_final(YOUNGER)
    assert rejected.status is Status.REJECTED
    assert scene.clock() - moment >= 5 * 60 * SECOND
    assert became(scene.run_until_final(OLDER)) == (Result.APPLIED, None)
    assert scene.hubspot.limits == {key(3): 5}


def test_given_a_worker_that_died_with_more_requests_than_one_read_takes_the_pair_is_not_lost(
    clock: Clock, deployment: Deployment
) -> None:
    scene = Scene()
    scene.clock = clock
    scene.table = Table(deployment.dynamodb, deployment.table)  # in memory no read is too large
    scene.ledger = Ledger(scene.table, timedelta(days=400))
    scene.ports = ports(scene.ledger, scene.hubspot, clock)
    clock.advance(10)
    many = [request(f"n-{n}", (3, n + 1), at=START + SECOND * n / 1000) for n in range(KEYS_IN_ONE_READ + 1)]

    def die(reached: Point) -> None:
        if reached is Point.BEFORE_SEND:
            raise Killed

    with pytest.raises(Killed):
        run(many, 30, replace(scene.ports, reached=die))
    clock.advance(60)

    (outcome,) = scene.run(OTHER)

    assert outcome.status is Status.COMPLETE
    assert scene.hubspot.limits == {key(3): len(many), key(4): 1}


def test_given_one_who_waits_with_what_a_dead_worker_may_have_sent_it_is_read_back_first() -> None:
    scene = Scene()
    scene.ready()
    scene.ledger.claim(OLDER, "dead", scene.clock(), scene.clock() + SECOND)
    scene.hubspot.limits[key(3)] = 5  # so it was sent
    scene.clock.advance(60)
    waits = scene.ledger.claim(OLDER, "waits", scene.clock(), scene.clock() + 45 * SECOND)
    assert waits.abandoned
    scene.leases.wait_for(Wanted("default", PAIR), OLDER.id, waits.fence)

    scene.run(request("m-9", (4, 1), at=scene.clock()))

    assert became(scene.outcome(OLDER)) == (Result.APPLIED, None)
    assert scene.hubspot.calls[0] == "read"
    assert [[item.type_id for item in inputs] for _, inputs in scene.hubspot.created] == [[4]]
