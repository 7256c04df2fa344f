"""Gates: when the requests of a portal that wait in the ledger may go on, as items of the outcomes table.

A portal has one gate, so that nothing but the gates is looked at every minute, however much waits. It says no more than
when the portal is due. That something waits, each outcome says by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from zlib import crc32

from aws.dynamodb import ConditionFailed, Item, Table
from ledger.items import SHARDS, open_partition, shard, to_outcome
from model.errors import LedgerUnavailable
from model.outcomes import Outcome, Status
from model.records import iso

PREFIX = "gate#"  # the id of an outcome has no '#', so a gate is never read as one
SPREAD = 16  # partitions of the index that have the gates of all portals
INDEX = "by-due"
INDEX_LAG = timedelta(minutes=2)  # what the index has not shown for so long is not written; DynamoDB names no number
PAGE = 100
TRIES = 3  # to move a gate while more and more is noted; else it stays due, and the next run moves it
IN_ORDER: dict[str, Any] = {"oldest_first": True, "sort": "dueSort"}


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate that is due, as it was read. `after` is the pair up to which the portal has been gone through."""

    portal: str
    due: str
    after: str = ""
    noted: str = ""  # when something is due that was noted while the gate was about to be moved


@dataclass(frozen=True, slots=True)
class Found:
    """A pair of a portal for which something waits: its types as they were spelt, when the first is due, and its place
    among the portal's pairs."""

    pair: str
    due: datetime
    place: str


class Gates:
    """Opens and closes gates. Every method raises LedgerUnavailable when the table cannot be reached."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._known: dict[str, datetime] = {}

    def wait(self, portal: str, due: datetime, now: datetime) -> None:
        """Note that something of a portal waits until it is due."""
        known = self._known.get(portal)
        # Until shortly before it is due a gate stays as it is: nothing is written for each of thousands that wait.
        if known and now + INDEX_LAG < known <= due:
            return
        sort = _sort(portal, due)
        try:
            self._table.update(
                PREFIX + portal,
                {"dueKey": _partition(portal), "dueSort": sort},
                condition="attribute_not_exists(dueKey) OR dueSort > :sort",
                condition_values={":sort": sort},
            )
        except ConditionFailed as failed:
            due = datetime.fromisoformat(str(failed.item["dueSort"]).split("#")[0])
            if due <= now + INDEX_LAG:  # the dispatcher may be past its pair by now, and would close the gate
                self._mark(portal, sort)
        self._known[portal] = due

    def _mark(self, portal: str, sort: str) -> None:
        with suppress(ConditionFailed):
            self._table.update(
                PREFIX + portal,
                {"noted": sort},
                condition="attribute_not_exists(noted) OR noted > :sort",
                condition_values={":sort": sort},
            )

    def due(self, now: datetime) -> Iterator[Gate]:
        """The gates that are due, from another partition on each time: a run may not get to the end."""
        start = crc32(iso(now).encode())
        for number in ((start + each) % SPREAD for each in range(SPREAD)):
            rows = self._table.query(INDEX, ("dueKey", f"due#{number}"), ("0", iso(now) + "~"), PAGE, **IN_ORDER)
            for row in rows:
                item = self._table.get(row["id"]) or {}
                if item.get("dueSort") == row["dueSort"]:
                    portal = row["id"].removeprefix(PREFIX)
                    yield Gate(portal, item["dueSort"], item.get("after", ""), item.get("noted", ""))

    def pairs(self, gate: Gate) -> Iterator[Found]:
        """The pairs of a portal for which something waits, from where the gate says, each once."""
        first, _, after = gate.after.partition("#")
        for number in range(int(first or 0), SHARDS):
            while row := self._first_after(gate.portal, number, after):
                from_type, to_type, due, _ = row.split("#")
                after = f"{from_type}#{to_type}#~"
                yield Found(f"{from_type}#{to_type}", datetime.fromisoformat(due), f"{number}#{after}")
            after = ""

    def _first_after(self, portal: str, number: int, after: str) -> str | None:
        rows = self._table.query(INDEX, ("dueKey", open_partition(portal, number)), (after or "-", "~"), 1, **IN_ORDER)
        return next((str(row["dueSort"]) for row in rows), None)

    def go_on(self, gate: Gate, due: datetime | None, after: str = "") -> None:
        """Note until when a portal waits from now on, and from where it is to be gone through; None if nothing waits.
        Never later than what was noted meanwhile."""
        for _ in range(TRIES):
            wanted = [_sort(gate.portal, due) if due else "", gate.noted]
            sort = min((each for each in wanted if each), default="")
            values = {"dueKey": _partition(gate.portal), "dueSort": sort} if sort else {}
            try:
                self._table.update(
                    PREFIX + gate.portal,
                    {**values, "after": after},
                    remove=("noted",) if sort else ("noted", "dueKey", "dueSort"),
                    condition="dueSort = :was AND "
                    + ("noted = :noted" if gate.noted else "attribute_not_exists(noted)"),
                    condition_values={":was": gate.due, **({":noted": gate.noted} if gate.noted else {})},
                )
            except ConditionFailed as failed:
                if failed.item.get("dueSort") != gate.due:
                    return  # something was noted that is due earlier, or another run has moved it
                gate = replace(gate, noted=failed.item.get("noted", ""))
            else:
                return

    def waiting(self, portal: str, pair: str, now: datetime, most: int) -> tuple[list[Outcome], bool]:
        """What waits for a pair and is due, `most` of it by its due times; and whether there may be more."""
        partition = "dueKey", open_partition(portal, shard(pair))
        rows = self._table.query(INDEX, partition, (f"{pair}#", f"{pair}#{iso(now)}~"), PAGE, **IN_ORDER)
        ids = [row["id"] for row in islice(rows, most)]
        found: list[Outcome] = []
        for item in self._table.get_many(ids):
            if item["status"] == Status.DEFERRED and item.get("parked"):
                found.append(to_outcome(item))
            elif "dueKey" in item:
                self._forget(item)
        return found, len(ids) == most

    def _forget(self, item: Item) -> None:
        """Take one out of the index that does not wait any more: a version that knows no gates has run it."""
        with suppress(ConditionFailed, LedgerUnavailable):  # else the next look does it
            self._table.update(
                item["id"],
                {"parked": False},
                remove=("dueKey", "dueSort"),
                condition="#status = :status AND dueSort = :sort",
                condition_values={":status": item["status"], ":sort": item["dueSort"]},
            )


def _partition(portal: str) -> str:
    return f"due#{crc32(portal.encode()) % SPREAD}"


def _sort(portal: str, due: datetime) -> str:
    return f"{iso(due)}#{PREFIX}{portal}"
