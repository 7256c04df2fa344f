"""A call that came to no clear answer and lands late, over a younger number."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from batch_create.handler import run
from ledger.leases import Wanted
from ledger.register import Register, register
from model.outcomes import Doubt, Outcome, Result
from model.pair import Pair
from tests.support.fakes import PAIR, START, FakeHubSpot, Service, failed, request

SECOND = timedelta(seconds=1)
LAG = timedelta(minutes=5)
WINDOW = Register(LAG).window / 1000
OLDER, YOUNGER = request("m-1", (3, 5)), request("m-2", (3, 7), at=START + SECOND)


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
