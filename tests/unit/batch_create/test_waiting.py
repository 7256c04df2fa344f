"""A request whose pair another worker holds waits a little: the next holder runs it too, or it comes again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from batch_create.handler import run
from batch_create.ports import Point
from batch_create.waiting import COMES_AGAIN, LONGEST
from hubspot_api.client import Answer
from ledger.claim import Claim, ClaimStatus
from ledger.leases import Lease, Wanted
from model.contract import LimitInput
from model.errors import LedgerUnavailable
from model.outcomes import Doubt, Outcome, Request, Result, Status
from model.pair import Address
from model.records import milliseconds
from tests.support.fakes import PAIR, START, FakeHubSpot, Service, failed, key, request

SECOND = timedelta(seconds=1)
OLDER, YOUNGER = request("m-1", (3, 5)), request("m-2", (3, 7), at=START + SECOND)
OTHER = request("m-3", (4, 1), at=START + 2 * SECOND)


class Killed(BaseException):
    """Ends a worker where it stands."""


class Scene(Service):
    """A deployment in which a worker holds the pair, and others do something while one waits."""

    def __init__(self, hubspot: FakeHubSpot | None = None) -> None:
        super().__init__(hubspot)
        self.clock.advance(10)
        self.holder = self.hold()
        assert self.leases.give_back(self.holder, self.clock())

    def hold(self, *outcome_ids: str, seconds: float = 60) -> Lease:
        until = self.clock() + timedelta(seconds=seconds)
        wanted = Wanted("default", PAIR, outcome_ids)
        (lease,) = self.leases.take_many([wanted], f"holder {outcome_ids}", self.clock(), until)
        assert isinstance(lease, Lease)
        self.holder = lease
        return lease

    def give_back(self) -> None:
        assert self.leases.give_back(self.holder, self.clock())

    def wait(self, *asked: Request, meanwhile: Sequence[Callable[[], object]] = ()) -> list[Claim]:
        """The claims of a worker in whose pauses others do something, each in one of them."""
        left = list(meanwhile)

        def sleep(seconds: float) -> None:
            self.clock.advance(seconds)
            if left:
                left.pop(0)()

        claims = run(asked, 30, replace(self.ports, sleep=sleep))
        assert not left
        return claims


def became(outcome: Outcome) -> tuple[Result, str | None]:
    (item,) = outcome.inputs
    return item.result, item.superseded_by


# ------------------------------------------------------------------------------- until the pair is free
@pytest.mark.parametrize("asked", [[OLDER], [OLDER, OTHER], [replace(OLDER, outcome_id="m-1")]])
def test_given_a_pair_that_becomes_free_whoever_waits_for_it_runs(asked: list[Request]) -> None:
    scene = Scene()
    scene.hold()

    claims = scene.wait(*asked, meanwhile=[scene.give_back])

    assert {(claim.claim_status, claim.outcome.status) for claim in claims} == {(ClaimStatus.CLAIMED, Status.COMPLETE)}
    assert len(scene.hubspot.created) == 1
    assert (scene.clock() - START).total_seconds() < 10 + LONGEST


def test_given_a_holder_that_has_died_whoever_waits_when_its_time_is_over_runs() -> None:
    scene = Scene()
    scene.hold(seconds=1)

    (claim,) = scene.wait(OLDER)

    assert claim.outcome.status is Status.COMPLETE


def test_given_one_pair_that_is_held_the_others_are_run_at_once() -> None:
    scene = Scene()
    scene.hold()
    free = request("m-9", (3, 5), toObjectType="companies")
    seen: list[Outcome] = []

    held, ran = scene.wait(OLDER, free, meanwhile=[lambda: seen.append(scene.outcome(free)), scene.give_back])

    assert [each.status for each in seen] == [Status.COMPLETE]
    assert [held.outcome.status, ran.outcome.status] == [Status.COMPLETE] * 2


# ------------------------------------------------------------------------------- in the next holder's call
def test_given_a_request_that_waits_the_next_holder_runs_it_in_its_own_call() -> None:
    scene = Scene()
    scene.hold()
    of_next: list[Claim] = []

    def next_holder() -> None:
        scene.give_back()
        of_next.extend(run([OTHER], 30, scene.ports))

    (claim,) = scene.wait(OLDER, meanwhile=[next_holder])

    assert [sorted(sent) for sent in scene.hubspot.sent] == [[3, 4]]
    assert (claim.claim_status, claim.outcome.status) == (ClaimStatus.CLAIMED, Status.COMPLETE)
    assert claim.outcome == scene.outcome(OLDER)
    assert claim.claims == 1  # by the one that waited, who carries it on if need be; and not by the holder
    assert [each.outcome.status for each in of_next] == [Status.COMPLETE]
    assert scene.hubspot.calls == ["create"]  # of what waits nothing was sent, so nothing is read back


def test_given_requests_that_wait_the_youngest_of_them_wins_in_one_call() -> None:
    scene = Scene()
    scene.hold()
    waiting: list[Claim] = []

    def next_holder() -> None:
        scene.give_back()
        run([OTHER], 30, scene.ports)

    def another_waits() -> None:
        waiting.extend(scene.wait(YOUNGER, meanwhile=[next_holder]))

    waiting += scene.wait(OLDER, meanwhile=[another_waits])

    assert [became(claim.outcome) for claim in waiting] == [(Result.APPLIED, None), (Result.SUPERSEDED, "m-2")]
    assert [sorted(sent) for sent in scene.hubspot.sent] == [[3, 4]]
    assert scene.hubspot.limits == {key(3): 7, key(4): 1}


def test_given_two_workers_at_one_time_the_younger_request_is_there_in_the_end() -> None:
    @dataclass
    class Interleaving(FakeHubSpot):
        meanwhile: Callable[[], object] | None = None

        def batch_create(self, token: str, pair: Address, inputs: Sequence[LimitInput], seconds: float) -> Answer:
            if meanwhile := self.meanwhile:
                self.meanwhile = None
                meanwhile()
            return super().batch_create(token, pair, inputs, seconds)

    for first, second in ((OLDER, YOUNGER), (YOUNGER, OLDER)):
        hubspot = Interleaving()
        scene = Scene(hubspot)
        late: list[Claim] = []
        hubspot.meanwhile = lambda scene=scene, late=late, second=second: late.extend(run([second], 30, scene.ports))

        (claim,) = run([first], 30, scene.ports)

        assert claim.outcome.status is Status.COMPLETE
        assert [each.outcome.status for each in late] == [Status.QUEUED]  # its caller's time was over
        assert scene.run_until_final(second).status is Status.COMPLETE
        assert hubspot.limits == {key(3): 7}
        assert len(hubspot.created) == (2 if second is YOUNGER else 1)


def test_given_a_next_holder_that_dies_with_what_waited_it_is_finished_by_the_one_after() -> None:
    scene = Scene()
    scene.hold()

    def die(reached: Point) -> None:
        if reached is Point.AFTER_ANSWER:
            raise Killed

    def next_holder() -> None:
        scene.give_back()
        with pytest.raises(Killed):
            run([OTHER], 30, replace(scene.ports, reached=die))

    (claim,) = scene.wait(YOUNGER, meanwhile=[next_holder])
    assert not claim.outcome.status.final
    scene.clock.advance(60)

    (outcome,) = scene.run(OLDER)

    assert became(outcome) == (Result.SUPERSEDED, "m-2")
    assert [scene.outcome(each).status for each in (YOUNGER, OTHER)] == [Status.COMPLETE] * 2
    assert scene.hubspot.limits == {key(3): 7, key(4): 1}
    assert len(scene.hubspot.created) == 1


# ------------------------------------------------------------------------------- until its time is over
def test_given_a_pair_that_stays_held_a_request_is_queued_again_and_comes_soon() -> None:
    scene = Scene()
    scene.hold()
    began = scene.clock()

    (claim,) = scene.wait(OLDER)

    assert (claim.claim_status, claim.outcome.status) == (ClaimStatus.CLAIMED, Status.QUEUED)
    assert claim.lease_until == scene.clock() + COMES_AGAIN
    assert LONGEST <= (scene.clock() - began).total_seconds() < LONGEST + 1
    assert scene.outcome(OLDER).status is Status.QUEUED
    assert scene.hubspot.calls == []

    scene.give_back()
    (outcome,) = scene.run(OLDER)
    assert outcome.status is Status.COMPLETE
    assert scene.hubspot.calls == ["create"]


def test_given_a_pair_that_is_held_again_and_again_a_request_comes_later_each_time() -> None:
    scene = Scene()
    pauses = []
    for _ in range(7):
        scene.hold()
        (claim,) = scene.wait(OLDER)
        assert claim.lease_until is not None
        pauses.append((claim.lease_until - scene.clock()).total_seconds())
        scene.clock.time = claim.lease_until
        scene.give_back()

    assert pauses == [2, 4, 8, 16, 32, 60, 60]


def test_given_messages_at_their_first_delivery_whose_pair_stays_held_they_come_again_and_nothing_is_written() -> None:
    scene = Scene()
    scene.hold()

    claims = scene.wait(OLDER, OTHER)

    assert [claim.claim_status for claim in claims] == [ClaimStatus.LEASED] * 2
    assert [claim.lease_until for claim in claims] == [scene.clock() + COMES_AGAIN] * 2
    assert [scene.ledger.get(each.id) for each in (OLDER, OTHER)] == [None] * 2
    assert scene.hubspot.calls == []


def test_given_many_requests_whose_pair_stays_held_the_ledger_accepts_them_and_they_come_soon() -> None:
    scene = Scene()
    scene.hold()

    claims = scene.wait(*(replace(each, redelivered=True) for each in (OLDER, OTHER)))

    assert [claim.lease_until for claim in claims] == [scene.clock() + COMES_AGAIN] * 2
    assert [scene.outcome(each).status for each in (OLDER, OTHER)] == [Status.QUEUED] * 2
    assert [scene.outcome(each).age for each in (OLDER, OTHER)] == [
        (milliseconds(each.requested_at), each.id) for each in (OLDER, OTHER)
    ]
    assert scene.hubspot.calls == []

    scene.give_back()
    assert [each.status for each in scene.run(OLDER, OTHER)] == [Status.COMPLETE] * 2
    assert scene.hubspot.calls == ["create"]


@pytest.mark.parametrize(("waited", "pause"), [(1, 2), (30, 30), (3_600, 60)])
def test_given_requests_that_were_carried_on_the_pause_is_longer_the_longer_they_have_waited(
    waited: int, pause: int
) -> None:
    scene = Scene(FakeHubSpot(replies=[failed(477, retry_after=60)]))
    queued, deferred = replace(OLDER, outcome_id="m-1"), replace(OTHER, outcome_id="m-3")
    (after,) = scene.run(deferred)
    assert after.retry_at is not None
    scene.ledger.accept(queued, scene.clock())
    scene.clock.time = max(after.retry_at, queued.requested_at) + waited * SECOND
    scene.hold()

    for claim in scene.wait(queued, deferred):
        assert claim.lease_until is not None
        left = (claim.lease_until - scene.clock()).total_seconds()
        assert pause <= left <= 60


def test_given_requests_of_a_held_pair_that_the_ledger_knows_each_is_told_how_it_stands() -> None:
    scene = Scene(FakeHubSpot(replies=[failed(477, retry_after=3600)]))
    (deferred,) = scene.run(OLDER)
    (done,) = scene.run(request("m-4", (7, 1)))
    scene.ledger.claim(OTHER, "another worker", scene.clock(), scene.clock() + 40 * SECOND)
    scene.hold()

    asked = (OLDER, request("m-4", (7, 1)), OTHER)
    claims = scene.wait(*(replace(each, redelivered=True) for each in asked))

    told = [
        (ClaimStatus.DEFERRED, Status.DEFERRED),
        (ClaimStatus.FINAL, Status.COMPLETE),
        (ClaimStatus.LEASED, Status.RUNNING),
    ]
    assert [(claim.claim_status, claim.outcome.status) for claim in claims] == told
    assert [claims[0].outcome, claims[1].outcome] == [deferred, done]


def test_given_a_held_pair_and_no_ledger_nothing_is_known_of_its_requests() -> None:
    scene = Scene()
    scene.hold()

    def unreachable() -> None:
        def call(*_: object, **__: object) -> None:
            raise LedgerUnavailable("throttled")

        scene.table._call = call  # type: ignore[method-assign] # as where AWS cannot be reached

    claims = scene.wait(OLDER, OTHER, meanwhile=[unreachable])

    assert [claim.claim_status for claim in claims] == [ClaimStatus.LEDGER_UNAVAILABLE] * 2


def test_given_a_run_that_is_nearly_over_nobody_waits_longer_than_it_lasts() -> None:
    scene = Scene()
    scene.hold()
    began = scene.clock()

    run([OLDER], 1.0, scene.ports)

    assert (scene.clock() - began).total_seconds() <= 1.2
    assert scene.outcome(OLDER).status is Status.QUEUED


def test_given_a_request_in_doubt_that_waits_in_vain_its_doubt_is_kept() -> None:
    scene = Scene(FakeHubSpot(replies=[failed(503)], reads=[failed(503)], applies=True))
    (doubtful,) = scene.run(OLDER)
    assert doubtful.doubt == Doubt(since=START + 10 * SECOND)
    scene.clock.time = doubtful.retry_at or START
    scene.hold()

    (claim,) = scene.wait(OLDER)
    assert claim.outcome.status is Status.QUEUED
    assert scene.outcome(OLDER).doubt == doubtful.doubt
    scene.give_back()
    assert became(scene.run_until_final(OLDER)) == (Result.APPLIED, None)
    assert len(scene.hubspot.created) == 1


def test_given_a_request_that_another_worker_runs_the_one_that_waits_settles_nothing() -> None:
    scene = Scene()
    scene.hold()

    def adopted() -> None:
        scene.give_back()
        lease = scene.hold("m-3")
        naming = scene.leases.naming(lease, ["m-1"])
        (claim,) = scene.ledger.adopt(lease, naming, scene.clock()).claims
        assert (claim.outcome.id, claim.abandoned) == ("m-1", False)

    (claim,) = scene.wait(OLDER, meanwhile=[adopted])

    assert claim.outcome.status is Status.QUEUED  # so it comes again, and finds what became of it
    assert scene.outcome(OLDER).status is Status.RUNNING
    assert scene.hubspot.calls == []
