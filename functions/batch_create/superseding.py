"""Which limits of retried requests have been set by younger requests: those are superseded, not sent again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from batch_create.plan import Demand
from batch_create.ports import HistoryPort
from ledger.history import NEWEST, Filter
from model.contract import LimitKey
from model.outcomes import Result
from model.records import iso

IN_ONE_READ = 30  # outcomes of a pair: mostly enough to know each of its limits
READS = 5  # at most, so that during a long outage, in which nothing is set, not every retry reads all outcomes


def find_superseded(demands: Sequence[Demand], history: HistoryPort) -> list[tuple[Demand, str]]:
    """Those demands of one pair whose limit a younger request has set, each with the id of that request's outcome.

    Without this a request that waited would undo what was asked for after it. Raises LedgerUnavailable.
    """
    if not demands:
        return []
    portal, pair = demands[0].portal, (demands[0].pair.from_object_type, demands[0].pair.to_object_type)
    wanted = {demand.item.key for demand in demands}
    since = iso(min(demand.requested_at for demand in demands))
    youngest: dict[LimitKey, tuple[datetime, str]] = {}  # the age of the youngest request that has set each limit
    after: str | None = NEWEST
    for _ in range(READS):
        if after is None or wanted <= youngest.keys():
            break
        page = history.page(Filter(portal=portal, pair=pair, since=since, after=after, limit=IN_ONE_READ))
        for outcome in page.outcomes:  # youngest first
            for item in outcome.inputs:
                if item.result in (Result.APPLIED, Result.UNCHANGED):
                    youngest.setdefault(item.key, (outcome.requested_at, outcome.id))
        after = page.after
    ages = [(demand, youngest.get(demand.item.key, demand.age)) for demand in demands]
    return [(demand, outcome_id) for demand, (at, outcome_id) in ages if (at, outcome_id) > demand.age]
