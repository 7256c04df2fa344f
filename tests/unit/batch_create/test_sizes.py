"""Whatever is asked for at once, a pair's item fits what DynamoDB allows an item."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from batch_create.handler import run
from batch_create.ports import Point
from ledger.leases import NAMED, REGISTER, Wanted
from model.outcomes import Request, Status
from model.pair import Pair
from tests.support.fakes import START, Service, key, request

PAIR = Pair("0-3", "0-1")
MS = timedelta(milliseconds=1)
LONG = 128  # characters; the longest id of an outcome


class Killed(BaseException):
    """Ends a worker where it stands."""


def asked(count: int, limits: int, mark: str) -> list[Request]:
    """Requests with ids as long as can be, each for so many limits."""
    return [
        request(
            f"{mark}-{n}".ljust(LONG, "x"), *((type_id, n + 1) for type_id in range(1, limits + 1)), at=START + MS * n
        )
        for n in range(count)
    ]


def die(service: Service, requests: list[Request]) -> None:
    """Let a worker die that has taken the pair for these requests, and its lease end."""

    def reached(point: Point) -> None:
        if point is Point.BEFORE_SEND:
            raise Killed

    with pytest.raises(Killed):
        run(requests, 100, replace(service.ports, reached=reached))
    service.clock.advance(200)


def size(service: Service) -> int:
    item = service.table.get(Wanted("default", PAIR).item_id)
    assert item is not None
    return len(item["intent"]) + len(item["register"])


def test_more_requests_than_a_lease_can_name_are_run_in_turn() -> None:
    service = Service()
    service.clock.advance(10)
    many = asked(2 * NAMED // LONG, 1, "m")

    claims = run(many, 100, service.ports)

    assert {claim.outcome.status for claim in claims} == {Status.COMPLETE}
    assert len(service.hubspot.created) == 3
    assert service.hubspot.limits == {key(1): len(many)}


def test_given_a_dead_worker_with_thousands_of_limits_its_pair_is_run_by_the_next() -> None:
    service = Service()
    service.clock.advance(10)
    many = asked(300, 10, "m")
    die(service, many)

    service.run(request("next", (99, 5), at=service.clock()))
    service.clock.advance(60)
    run(many, 100, service.ports)

    assert size(service) <= NAMED + REGISTER
    assert {service.outcome(each).status for each in many} == {Status.COMPLETE}
    assert service.hubspot.limits[key(10)] == 300


def test_given_dead_workers_with_more_than_a_lease_can_name_the_orphans_are_run_first() -> None:
    service = Service()
    service.clock.advance(10)
    first, second = asked(700, 1, "a"), asked(700, 2, "b")
    die(service, first)

    run(second, 100, service.ports)
    assert {service.outcome(each).status for each in first} <= {Status.COMPLETE, Status.DEFERRED}  # so they were run
    service.clock.advance(60)
    run([*first, *second], 100, service.ports)

    assert {service.outcome(each).status for each in first} == {Status.COMPLETE}
    assert {service.outcome(each).status for each in second} == {Status.COMPLETE}
    assert size(service) <= NAMED + REGISTER
