"""Several sends of one limit without a clear answer: which of them a reading proves, and whose number stands."""

from __future__ import annotations

import pytest

from aws.dynamodb import Change
from batch_create.handler import run
from ledger.leases import Lease, Wanted
from ledger.ledger import Ledger
from ledger.register import Applied
from model.errors import LedgerUnavailable
from model.outcomes import Age, Request, Result, Status
from model.records import milliseconds
from tests.support.fakes import PAIR, START, FakeHubSpot, Service, failed, key, request
from tests.support.late_calls import OLDER, SECOND, WINDOW, YOUNGER, Scene, became, due

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


def test_given_the_last_numbers_own_call_that_lands_over_a_younger_send_that_one_is_set_again() -> None:
    service = Service(FakeHubSpot(replies=[failed(503)], reads=[{}, {}]))
    (younger,) = service.run(YOUNGER)  # its first call was cut off, and its second was answered
    assert became(younger) == (Result.APPLIED, None)
    youngest = request("m-3", (3, 9), at=service.clock())
    service.hubspot.replies, service.hubspot.reads, service.hubspot.applies = [failed(503)], [{}, failed(503)], True
    service.run(youngest)
    service.ledger.fail(youngest, "given up", "", service.clock())
    service.hubspot.limits[key(3)] = 7  # the first call lands
    service.hubspot.calls.clear()
    service.clock.advance(WINDOW)

    run([], 30, service.ports, verify=list(due(service)))

    assert service.hubspot.calls == ["read", "create"]
    assert service.hubspot.limits == {key(3): 9}


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
