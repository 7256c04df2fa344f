"""A pair's first register, made of the outcomes that were written before pairs had one."""

from __future__ import annotations

from datetime import timedelta

from aws.dynamodb import ConditionFailed, Table
from ledger.history import NEWEST, Filter, History
from ledger.register import Register, conservative
from model.outcomes import Outcome
from model.pair import Pair
from model.records import milliseconds

PREFIX = "history#"  # and a portal's name: whether it has outcomes of before
TOGETHER = 100  # outcomes in one page


class Rebuild:
    """Builds registers, once for each pair. In a portal that has no outcomes of before there is nothing to read."""

    def __init__(self, table: Table, history: History, lag: timedelta) -> None:
        self._table = table
        self._history = history
        self._lag = lag
        self._has_history: dict[str, bool] = {}

    def __call__(self, portal: str, pair: Pair) -> Register:
        """The register of a pair that has none. Raises LedgerUnavailable."""
        found = Register(self._lag)
        if not self._is_old(portal):
            return found
        after: str | None = NEWEST
        while after is not None:
            page = self._history.page(
                Filter(portal, (pair.from_type, pair.to_type), after=after, limit=TOGETHER, any_spelling=True)
            )
            for outcome in page.outcomes:
                _enter(found, outcome)
            after = page.after
        return found

    def _is_old(self, portal: str) -> bool:
        """Whether a portal has outcomes of before: looked up once, by the first function that meets it."""
        if portal not in self._has_history:
            known = self._table.get(PREFIX + portal)
            if known is None:
                has_any = self._history.has_any_before(portal)
                known = {"before": has_any}
                try:
                    self._table.put_new({"id": PREFIX + portal, **known})
                except ConditionFailed as failed:
                    known = failed.item
            self._has_history[portal] = bool(known["before"])
        return self._has_history[portal]


def _enter(register: Register, outcome: Outcome) -> None:
    at = milliseconds(outcome.finished_at or outcome.requested_at)
    register.enter(outcome, at)
    if outcome.doubt:
        for sent in conservative(outcome, milliseconds(outcome.doubt.since)):
            register.send(sent)
