"""A pair's first register, made of the outcomes that were written before pairs had one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from threading import Lock

from aws.dynamodb import ConditionFailed, Table
from ledger.history import History
from ledger.items import pair_key
from ledger.leases import Wanted
from ledger.register import Register, possible_sends
from model.object_types import spellings
from model.outcomes import Outcome, Status
from model.records import milliseconds

PREFIX = "history#"  # and a portal's name: whether it has outcomes of before


class Rebuild:
    """Builds registers, once for each pair. In a portal that has no outcomes of before there is nothing to read."""

    def __init__(
        self,
        table: Table,
        history: History,
        lag: timedelta,
        new_lock: Callable[[], AbstractContextManager[object]] = Lock,
    ) -> None:
        self._table = table
        self._history = history
        self._lag = lag
        self._looking = new_lock()
        self._has_history: dict[str, bool] = {}

    def __call__(self, wanted: Wanted, now: datetime) -> Register:
        """The register of a pair that has none: of all its outcomes, as many as there are. Raises LedgerUnavailable."""
        found = Register(self._lag)
        if self._is_old(wanted.portal):
            for outcome in self._history.outcomes(_partitions(wanted)):
                _enter(found, outcome, milliseconds(now))
        return found

    def _is_old(self, portal: str) -> bool:
        """Whether a portal has outcomes of before: looked up once, by the first function that meets it."""
        with self._looking:  # a queue's batch meets a new portal in several threads
            if portal not in self._has_history:
                self._has_history[portal] = self._looked_up(portal)
            return self._has_history[portal]

    def _looked_up(self, portal: str) -> bool:
        known = self._table.get(PREFIX + portal)
        if known is None:
            known = {"before": self._history.has_any_before(portal)}
            try:
                self._table.put_new({"id": PREFIX + portal, **known})
            except ConditionFailed as failed:
                known = failed.item
        return bool(known["before"])


def _partitions(wanted: Wanted) -> list[str]:
    """The partitions of the index by pair that can hold its outcomes: they were filed by the names of their types, as
    these were spelt. A custom type's other names are known to HubSpot alone, so that here its requests' own are taken.
    """
    pair = wanted.pair
    from_names = dict.fromkeys([*spellings(pair.from_type), *(spelt[0] for spelt in sorted(wanted.spelt))])
    to_names = dict.fromkeys([*spellings(pair.to_type), *(spelt[1] for spelt in sorted(wanted.spelt))])
    return [pair_key(wanted.portal, one, other) for one in from_names for other in to_names]


def _enter(register: Register, outcome: Outcome, now: int) -> None:
    register.enter(outcome, milliseconds(outcome.finished_at) if outcome.finished_at else now)
    if outcome.doubt or outcome.status is Status.RUNNING:
        for sent in possible_sends(outcome, milliseconds(outcome.doubt.since) if outcome.doubt else now):
            register.send(sent)
