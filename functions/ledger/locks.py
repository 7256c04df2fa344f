"""Locks between all functions of a deployment, as items of the outcomes table."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from aws.dynamodb import ConditionFailed, Table
from model.records import iso

PREFIX = "lock#"  # the id of an outcome has no '#', so a lock is never read as one
KEPT = timedelta(days=1)  # after its last use, until DynamoDB deletes the item by its attribute expiresAt


class State(StrEnum):
    HELD = "HELD"
    FREE = "FREE"


class Locks:
    """Each lock has one holder at most, until it releases it or its time is over.

    It keeps others from doing the same work at the same time, and no more: a holder that is late does not know that
    its time is over, so what it writes must be safe without the lock. Every method raises LedgerUnavailable.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def acquire(self, name: str, holder: str, now: datetime, until: datetime) -> bool:
        """Take a lock until then. False if another holds it; one's own is taken again, as botocore may ask twice."""
        try:
            self._table.update(
                PREFIX + name,
                {"status": State.HELD, "holder": holder, "leaseUntil": iso(until), "expiresAt": _epoch(now + KEPT)},
                condition="attribute_not_exists(id) OR #status = :free OR #leaseUntil < :now OR #holder = :holder",
                condition_values={":free": State.FREE, ":now": iso(now)},
            )
        except ConditionFailed:
            return False
        return True

    def release(self, name: str, holder: str, now: datetime) -> None:
        """Give a lock back, unless its time was over and another has it."""
        try:
            self._table.update(
                PREFIX + name,
                {"status": State.FREE, "expiresAt": _epoch(now + KEPT)},
                condition="holder = :holder",
                condition_values={":holder": holder},
            )
        except ConditionFailed:
            return  # it is another's by now


def _epoch(moment: datetime) -> int:
    return int(moment.timestamp())
