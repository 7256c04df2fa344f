"""Which limits of retried requests younger requests have set meanwhile: those are superseded, not sent again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from batch_create.contract import LimitKey
from batch_create.history import Filter
from batch_create.outcomes import Result, iso
from batch_create.plan import Demand
from batch_create.ports import HistoryPort

Age = tuple[datetime, str]
YOUNGEST_EXAMINED = 30  # outcomes of a pair; enough to know its limits, few enough to read on each retry


def overtaken(demands: Iterable[Demand], history: HistoryPort) -> list[tuple[Demand, str]]:
    """Those of the demands for a limit that a younger request has set, each with that request's outcome's id.

    Without this a request that waited would undo what was asked for after it. Raises LedgerUnavailable.
    """
    waiting: dict[tuple[str, str, str], list[Demand]] = {}
    for demand in demands:
        pair = demand.pair
        waiting.setdefault((demand.portal, pair.from_object_type, pair.to_object_type), []).append(demand)
    found = []
    for (portal, from_type, to_type), group in waiting.items():
        since = min(demand.requested_at for demand in group)
        applied = _applied(portal, (from_type, to_type), since, history)
        for demand in group:
            age, outcome_id = applied.get(demand.item.key, (demand.age, ""))
            if age > demand.age:
                found.append((demand, outcome_id))
    return found


def _applied(
    portal: str, pair: tuple[str, str], since: datetime, history: HistoryPort
) -> dict[LimitKey, tuple[Age, str]]:
    newest: dict[LimitKey, tuple[Age, str]] = {}
    page = history.page(Filter(portal=portal, pair=pair, since=iso(since), limit=YOUNGEST_EXAMINED))
    for outcome in page.outcomes:  # newest first
        for item in outcome.inputs:
            if item.result in (Result.APPLIED, Result.UNCHANGED):
                newest.setdefault(item.key, ((outcome.requested_at, outcome.id), outcome.id))
    return newest
