"""From many demands to few calls, and back to each demand. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from batch_create.contract import LimitInput, LimitKey
from batch_create.hubspot import Pair


@dataclass(frozen=True)
class Demand:
    """One open input of one request."""

    request_id: str
    requested_at: datetime
    portal: str
    pair: Pair
    item: LimitInput

    @property
    def age(self) -> tuple[datetime, str]:
        return (self.requested_at, self.request_id)


@dataclass(frozen=True)
class Call:
    """One HTTP request to HubSpot. `winners` has the demand that each input stands for."""

    portal: str
    pair: Pair
    winners: tuple[Demand, ...]

    @property
    def inputs(self) -> tuple[LimitInput, ...]:
        return tuple(winner.item for winner in self.winners)

    def halves(self) -> tuple[Call, Call]:
        middle = len(self.winners) // 2
        return (
            Call(self.portal, self.pair, self.winners[:middle]),
            Call(self.portal, self.pair, self.winners[middle:]),
        )


def plan(demands: Iterable[Demand], batch_size: int) -> Iterator[Call]:
    """The calls that carry, for each limit, the latest demand; pairs in the order of their oldest demand.

    An earlier demand for another number is not in any call: it is superseded once the latest is applied, and planned
    again if the latest is rejected, so that the end is the same as if each had been sent in turn.
    """
    groups: dict[tuple[str, Pair], list[Demand]] = defaultdict(list)
    for demand in sorted(demands, key=lambda demand: demand.age):
        groups[demand.portal, demand.pair].append(demand)
    for (portal, pair), group in groups.items():
        latest: dict[LimitKey, Demand] = {demand.item.key: demand for demand in group}
        winners = tuple(latest.values())
        for start in range(0, len(winners), batch_size):
            yield Call(portal, pair, winners[start : start + batch_size])


def concerned(call: Call, demands: Sequence[Demand]) -> Iterator[tuple[Demand, Demand]]:
    """Each demand that a call decides, with the demand that stood for it in the call."""
    winners = {winner.item.key: winner for winner in call.winners}
    for demand in demands:
        if (demand.portal, demand.pair) == (call.portal, call.pair) and demand.item.key in winners:
            yield demand, winners[demand.item.key]
