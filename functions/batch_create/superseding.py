"""Which limits of retried requests younger requests have set meanwhile: those are superseded, not sent again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from batch_create.plan import Demand
from batch_create.ports import HistoryPort
from ledger.history import NEWEST, Filter
from model.contract import LimitKey
from model.outcomes import Result
from model.records import iso

Age = tuple[datetime, str]
IN_ONE_READ = 30  # outcomes of a pair: mostly enough to know each of its limits
READS = 5  # at most, so that a long outage, in which none has set any, does not make each retry read them all


def find_superseded(demands: Iterable[Demand], history: HistoryPort) -> list[tuple[Demand, str]]:
    """Those of the demands for a limit that a younger request has set, each with that request's outcome's id.

    Without this a request that waited would undo what was asked for after it. Raises LedgerUnavailable.
    """
    waiting: dict[tuple[str, str, str], list[Demand]] = {}
    for demand in demands:
        pair = demand.pair
        waiting.setdefault((demand.portal, pair.from_object_type, pair.to_object_type), []).append(demand)
    found = []
    for (portal, from_type, to_type), group in waiting.items():
        applied = _applied(portal, (from_type, to_type), group, history)
        for demand in group:
            age, outcome_id = applied.get(demand.item.key, (demand.age, ""))
            if age > demand.age:
                found.append((demand, outcome_id))
    return found


def _applied(
    portal: str, pair: tuple[str, str], demands: Sequence[Demand], history: HistoryPort
) -> dict[LimitKey, tuple[Age, str]]:
    """Of each limit the youngest request that has set it, among those younger than the oldest of the demands."""
    wanted = {demand.item.key for demand in demands}
    since = iso(min(demand.requested_at for demand in demands))
    newest: dict[LimitKey, tuple[Age, str]] = {}
    after: str | None = NEWEST
    for _ in range(READS):
        if after is None or wanted <= newest.keys():
            break
        page = history.page(Filter(portal=portal, pair=pair, since=since, after=after, limit=IN_ONE_READ))
        for outcome in page.outcomes:  # youngest first
            for item in outcome.inputs:
                if item.result in (Result.APPLIED, Result.UNCHANGED):
                    newest.setdefault(item.key, ((outcome.requested_at, outcome.id), outcome.id))
        after = page.after
    return newest
