"""The portals that this deployment has worked for, as items of the outcomes table: what `all portals` means."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta

from aws.dynamodb import ConditionFailed, Item, Table
from model.records import iso

PREFIX = "portal#"  # the id of an outcome has no '#', so a portal is never read as one
ALL = "PORTALS"  # their partition of the index by status, in which those of outcomes have a '#'
PAGE = 1_000
# Between two looks that did not find a secret: after a longer time it may have been there in between. A request that
# waits looks every quarter of an hour at the latest.
SEEN_AGAIN = timedelta(hours=2)
NOTED_AGAIN = timedelta(minutes=1)  # not by every function at every look
THERE = {"missingSince": "", "missingSeenAt": ""}  # what a portal with a secret has


class PortalRegistry:
    """Knows portals by name. Every method raises LedgerUnavailable."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def names(self) -> Iterator[str]:
        """Every portal that has ever been used, in order."""
        rows = self._table.query("by-status", ("statusKey", ALL), ("0", "~"), PAGE, oldest_first=True)
        return (row["id"].removeprefix(PREFIX) for row in rows)

    def knows(self, portal: str) -> bool:
        """Whether a portal has ever been used."""
        return self._table.get(PREFIX + portal) is not None

    def add(self, portal: str, now: datetime) -> None:
        """Note that a portal is used, and that its secret is there."""
        item_id = PREFIX + portal
        try:
            self._table.put_new(
                {"id": item_id, "statusKey": ALL, "sortKey": f"{portal}#{item_id}", "firstUsedAt": iso(now), **THERE}
            )
        except ConditionFailed as failed:
            if seen := failed.item.get("missingSeenAt"):
                self._mark(item_id, THERE, seen)

    def missing_since(self, portal: str, now: datetime) -> datetime | None:
        """Note that a portal has no secret. Returns since when, or None for a portal that was never used."""
        item = self._table.get(PREFIX + portal)
        if item is None:
            return None
        seen: str = item["missingSeenAt"]
        since: str = item["missingSince"] if seen > iso(now - SEEN_AGAIN) else iso(now)
        if seen < iso(now - NOTED_AGAIN):
            self._mark(PREFIX + portal, {"missingSince": since, "missingSeenAt": iso(now)}, seen)
        return datetime.fromisoformat(since)

    def _mark(self, item_id: str, values: Item, seen: str) -> None:
        with suppress(ConditionFailed):  # another function has just looked
            self._table.update(item_id, values, condition="missingSeenAt = :seen", condition_values={":seen": seen})
