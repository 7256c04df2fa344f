"""From many demands to few calls, and back to each demand. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

from model.contract import Category, LimitInput, LimitKey
from model.outcomes import Age, Doubt
from model.pair import Address, Pair

# HubSpot's own types that are labels: primary company (1, 2, 5, 6), parent and child company (13, 14). Where this list
# is not complete, one more call may be needed.
LABELLED = {1, 2, 5, 6, 13, 14}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Demand:
    """One open input of one request, with the request's doubt if an earlier send came to no clear answer."""

    request_id: str
    age: Age
    portal: str
    pair: Pair
    address: Address
    item: LimitInput
    doubt: Doubt | None = None


DemandsByLimit = dict[tuple[str, Pair, LimitKey], list[Demand]]  # demands by the limit that they are for


@dataclass(frozen=True)
class Call:
    """One HTTP request to HubSpot, by one API version. `winners` are the demands that its inputs come from."""

    portal: str
    pair: Pair
    winners: tuple[Demand, ...]

    @cached_property
    def address(self) -> Address:
        """As the callers spell it; by the types' ids where they do not agree."""
        spelt = {winner.address for winner in self.winners}
        first = self.winners[0].address
        return first if len(spelt) == 1 else Address(first.api_version, self.pair.from_type, self.pair.to_type)

    @cached_property
    def inputs(self) -> tuple[LimitInput, ...]:
        return tuple(winner.item for winner in self.winners)

    @property
    def doubt(self) -> Doubt | None:
        """The youngest doubt about any of its inputs."""
        return latest(winner.doubt for winner in self.winners)

    def halves(self) -> tuple[Call, Call]:
        """Two calls with the inputs of this one; the first is never the larger."""
        middle = len(self.winners) // 2
        return replace(self, winners=self.winners[:middle]), replace(self, winners=self.winners[middle:])

    def without(self, decided: Collection[LimitKey]) -> Call:
        """This call with only those inputs that are not decided."""
        return replace(self, winners=tuple(winner for winner in self.winners if winner.item.key not in decided))

    def doubted(self, doubt: Doubt | None) -> Call:
        """This call after a send that left a doubt."""
        return replace(self, winners=tuple(replace(winner, doubt=doubt) for winner in self.winners)) if doubt else self


def latest(doubts: Iterable[Doubt | None]) -> Doubt | None:
    """The doubt with the youngest send, if there is any."""
    return max((doubt for doubt in doubts if doubt), key=lambda doubt: doubt.since, default=None)


def plan(demands: Iterable[Demand], batch_size: int) -> Iterator[Call]:
    """The calls that carry the latest demand for each limit: pairs in the order of their oldest demand, and object
    limits before those of labels.

    An API version is no part of a limit: demands by several are folded into one another, and the latest ones' calls are
    made by their own. An earlier demand for another number is in no call. It is superseded once the latest is applied,
    and planned again if the latest is rejected, so that the end is the same as if each had been sent in turn.
    """
    groups: dict[tuple[str, Pair], list[Demand]] = defaultdict(list)
    for demand in sorted(demands, key=lambda demand: demand.age):
        groups[demand.portal, demand.pair].append(demand)
    for (portal, pair), group in groups.items():
        newest: dict[LimitKey, Demand] = {}
        for demand in group:
            earlier, doubt = newest.get(demand.item.key), demand.doubt
            if earlier and earlier.item == demand.item:
                # The same number may have been sent before without a clear answer: then this send is in doubt, too.
                doubt = latest([doubt, earlier.doubt])
            newest[demand.item.key] = demand if doubt is demand.doubt else replace(demand, doubt=doubt)
        winners = sorted(newest.values(), key=lambda demand: is_label(demand.item))
        versions = dict.fromkeys(winner.address.api_version for winner in winners)
        for version in versions:
            of_one = [winner for winner in winners if winner.address.api_version == version]
            for chunk in chunks(of_one, batch_size):
                yield Call(portal, pair, tuple(chunk))


def chunks(things: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The things in their order, `size` at a time."""
    return (things[start : start + size] for start in range(0, len(things), size))


def is_label(item: LimitInput) -> bool:
    """Whether a limit belongs to a label; the limit of the unlabelled type is the object limit."""
    return item.category is not Category.HUBSPOT_DEFINED or item.type_id in LABELLED


def round_robin(pairs: Iterable[tuple[str, Pair]]) -> list[tuple[str, Pair]]:
    """Pairs in an order in which every portal has its first turn before any has its second."""
    turns: Counter[str] = Counter()
    order = []
    for portal, pair in pairs:
        order.append((turns[portal], (portal, pair)))
        turns[portal] += 1
    return [pair for _, pair in sorted(order, key=lambda turn: turn[0])]


def by_limit(demands: Iterable[Demand]) -> DemandsByLimit:
    """Demands by the limit that they are for."""
    limits: DemandsByLimit = defaultdict(list)
    for demand in demands:
        limits[demand.portal, demand.pair, demand.item.key].append(demand)
    return limits


def affected_demands(call: Call, limits: DemandsByLimit) -> Iterator[tuple[Demand, Demand]]:
    """Each demand that a call decides, with the demand that stood for it in the call."""
    for winner in call.winners:
        for demand in limits.get((call.portal, call.pair, winner.item.key), ()):
            yield demand, winner
