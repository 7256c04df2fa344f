"""Locks between all functions of a deployment, as items of the outcomes table."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

from aws.dynamodb import ConditionFailed, Table
from model.records import iso

PREFIX = "lock#"  # the id of an outcome has no '#', so a lock is never read as one
KEPT = timedelta(days=1)  # after its last use, until DynamoDB deletes the item by its attribute expiresAt


class Locks:
    """Each lock has one holder at most, until it is released or its time is over.

    A lock keeps others from doing the same work at the same time, and no more: a late holder does not know that its
    time is over, so what it writes must be safe without the lock. Every method raises LedgerUnavailable.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def acquire(self, name: str, holder: str, now: datetime, until: datetime) -> bool:
        """Take a lock until then. False if another has it. One's own is taken again, as botocore may ask twice."""
        try:
            self._table.update(
                PREFIX + name,
                {"holder": holder, "leaseUntil": iso(until), "expiresAt": _expiry(now)},
                condition="attribute_not_exists(holder) OR #leaseUntil < :now OR #holder = :holder",
                condition_values={":now": iso(now)},
            )
        except ConditionFailed:
            return False
        return True

    def release(self, name: str, holder: str, now: datetime) -> None:
        """Give a lock back, unless its time was over and another has it."""
        with suppress(ConditionFailed):  # it is another's by now
            self._table.update(
                PREFIX + name,
                {"expiresAt": _expiry(now)},
                remove=["holder"],
                condition="holder = :holder",
                condition_values={":holder": holder},
            )


def _expiry(now: datetime) -> int:
    return int((now + KEPT).timestamp())
