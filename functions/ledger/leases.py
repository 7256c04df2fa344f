"""Leases: one worker at a time sends for a pair, and keeps its register. Each is an item of the outcomes table.

HubSpot takes no fencing token, so a lease alone cannot keep a late call out. Hence a lease ends after the hard end of
the invocation that took it, and names what it was taken for (`intent`): whoever takes over one that was not given back
knows what may have been sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from aws.dynamodb import Change, ConditionFailed, Item, Table, Written
from ledger.items import VERIFY, pairs_key, status_key
from ledger.register import Register, register, stored
from model.errors import LedgerUnavailable
from model.pair import Pair
from model.records import iso, milliseconds
from runtime.telemetry import logger

PREFIX = "pair#"  # the id of an outcome has no '#', so a lease is never read as one
FREE = 0  # in `until`: it was given back
TRIES = 3  # to take a lease that others take and give back meanwhile
# Characters, of the 409,600 bytes that DynamoDB allows an item: of the ids in an intent, and of a register. The rest is
# for those that wait.
NAMED = 120_000
REGISTER = 200_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """A pair that a worker wants to send for, and the outcomes that it wants to send, which spell its types so."""

    portal: str
    pair: Pair
    outcome_ids: tuple[str, ...] = ()
    spelt: frozenset[tuple[str, str]] = frozenset()

    @property
    def item_id(self) -> str:
        return f"{PREFIX}{self.portal}#{self.pair}"


@dataclass
class Lease:
    """A pair in this worker's hands, until `until`. `orphans` are the outcomes that a dead holder had taken it for, and
    `died_by` the end of its lease; `waiting` are the outcomes of workers that wait for it, each with its fence.
    `orphans_first` where there are so many that this worker's own outcomes are not named, and must not be sent."""

    wanted: Wanted
    holder: str
    until: datetime
    register: Register
    orphans: tuple[str, ...] = ()
    died_by: int = 0
    waiting: tuple[tuple[str, int], ...] = ()
    orphans_first: bool = False


Taken = Lease | LedgerUnavailable | None  # None where another worker holds the pair


class Leases:
    """Takes pairs and gives them back. `lag` is how long HubSpot's reads may lag behind; `rebuild` makes the register
    of a pair that has none yet. Every other method raises LedgerUnavailable when the table cannot be reached."""

    def __init__(
        self, table: Table, retention: timedelta, lag: timedelta, rebuild: Callable[[Wanted, datetime], Register]
    ) -> None:
        self._table = table
        self._retention = retention
        self._lag = lag
        self._rebuild = rebuild

    def statement(self, wanted: Wanted, holder: str, now: datetime, until: datetime) -> Change:
        """The write that takes a pair which nobody holds; `taken` understands its answer."""
        values = self._held(wanted, holder, now, until) | {"waiting": []}
        return Change(wanted.item_id, values, (), {"until": FREE}, old=True)

    def take_many(self, wanted: Sequence[Wanted], holder: str, now: datetime, until: datetime) -> list[Taken]:
        """Take pairs, in as few writes as DynamoDB allows."""
        written = self._table.write_many([self.statement(each, holder, now, until) for each in wanted])
        return [self.taken(each, answer, holder, now, until) for each, answer in zip(wanted, written, strict=True)]

    def taken(self, wanted: Wanted, written: Written, holder: str, now: datetime, until: datetime) -> Taken:
        """What came of `statement`, by its answer. What that leaves open is looked up and tried again."""
        try:
            return self._taken(wanted, written, holder, now, until)
        except LedgerUnavailable as error:
            return error  # not raised: other pairs were taken by the same write

    def _taken(self, wanted: Wanted, written: Written, holder: str, now: datetime, until: datetime) -> Lease | None:
        item = written.item
        if written.done:
            # DynamoDB's guide does not say that a batch answers RETURNING: without an answer the item is read.
            return self._lease(wanted, item or self._item(wanted), holder, now, until)
        item = self._table.get(wanted.item_id) if item is None else item
        for _ in range(TRIES):
            if item and item["holder"] == holder and item["until"] != FREE:
                return self._lease(wanted, item, holder, now, until)  # taken before, by a write whose answer was lost
            if item and item["until"] >= milliseconds(now):
                return None
            try:
                return self._take_alone(wanted, item, holder, now, until)
            except ConditionFailed as failed:
                item = failed.item
        return None

    def _take_alone(
        self, wanted: Wanted, item: Item | None, holder: str, now: datetime, until: datetime
    ) -> Lease | None:
        values = self._held(wanted, holder, now, until) | {"waiting": []}
        if not item:
            found = self._rebuild(wanted, now)
            values |= {"register": stored(found.as_text()), **_listed(wanted)}
            self._table.update(wanted.item_id, values, condition="attribute_not_exists(id)", condition_values={})
            return Lease(wanted, holder, until, found)
        first = False
        if item["until"] != FREE:  # its holder has died: what it was taken for stays named until all of it is settled
            values["intent"] = " ".join(dict.fromkeys([*_ids(item), *wanted.outcome_ids]))
            first = len(values["intent"]) > NAMED
            values["intent"] = item["intent"] if first else values["intent"]
        self._table.update(
            wanted.item_id,
            values,
            condition="holder = :was AND #until = :ended",
            condition_values={":was": item["holder"], ":ended": item["until"]},
        )
        lease = self._lease(wanted if not first else replace(wanted, outcome_ids=()), item, holder, now, until)
        lease.orphans_first = first
        return lease

    def _lease(self, wanted: Wanted, item: Item, holder: str, now: datetime, until: datetime) -> Lease:
        own = set(wanted.outcome_ids)
        died = item["until"] != FREE
        return Lease(
            wanted,
            holder,
            until,
            register(item["register"], self._lag),
            tuple(each for each in _ids(item) if each not in own) if died else (),
            milliseconds(now) if item["holder"] == holder else item["until"],
            tuple((outcome_id, int(fence)) for outcome_id, fence in (each.split() for each in item["waiting"])),
        )

    def _held(self, wanted: Wanted, holder: str, now: datetime, until: datetime) -> Item:
        return {
            "holder": holder,
            "until": milliseconds(until),
            "intent": " ".join(wanted.outcome_ids),
            "expiresAt": self._expiry(now),
        }

    # ---------------------------------------------------------------------------------------------------- in its hands
    def naming(self, lease: Lease, outcome_ids: Iterable[str]) -> Change:
        """The write that names more outcomes which will be sent under a lease, before they are."""
        named = dict.fromkeys([*lease.orphans, *lease.wanted.outcome_ids, *outcome_ids])
        return Change(lease.wanted.item_id, {"intent": " ".join(named)}, (), {"holder": lease.holder})

    def giving_back(self, lease: Lease, now: datetime) -> Change:
        """The write that records the register and gives a pair back."""
        lease.register.prune(milliseconds(now))
        values: dict[str, Any] = {
            "until": FREE,
            "intent": "",
            "register": stored(_fitting(lease)),
            "expiresAt": self._expiry(now),
            **_listed(lease.wanted),
        }
        remove: Sequence[str] = ("statusKey",)
        if due := lease.register.verify_at:
            values["statusKey"] = status_key(lease.wanted.portal, VERIFY)
            values["sortKey"] = f"{iso(datetime.fromtimestamp(due / 1000, UTC))}#{lease.wanted.item_id}"
            remove = ()
        return Change(lease.wanted.item_id, values, remove, {"holder": lease.holder})

    def give_back(self, lease: Lease, now: datetime) -> bool:
        """Record the register and give a pair back. False if another has taken it over: its time was over."""
        change = self.giving_back(lease, now)
        try:
            self._table.update(
                change.item_id,
                change.values,
                remove=change.remove,
                condition="holder = :holder",
                condition_values={":holder": lease.holder},
            )
        except ConditionFailed:
            return False
        return True

    # --------------------------------------------------------------------------------------------------------- waiting
    def wait_for(self, wanted: Wanted, outcome_id: str, fence: int) -> None:
        """Let the next holder of a pair send an outcome as well."""
        with suppress(ConditionFailed):  # nobody has ever held it: it is to be taken, and not to be waited for
            self._table.update(
                wanted.item_id,
                {},
                append={"waiting": [f"{outcome_id} {fence}"]},
                condition="attribute_exists(id)",
                condition_values={},
            )

    def due(self, portal: str, now: datetime) -> list[Pair]:
        """The pairs of a portal that are to be read: a late call may have undone a younger request's number."""
        rows = self._table.query("by-status", ("statusKey", status_key(portal, VERIFY)), ("0", iso(now) + "~"), 100)
        return [Pair(*row["id"].split("#")[2:]) for row in rows]

    def _item(self, wanted: Wanted) -> Item:
        found = self._table.get(wanted.item_id)
        if found is None:
            raise LedgerUnavailable(f"{wanted.item_id} was there and is gone")
        return found

    def _expiry(self, now: datetime) -> int:
        # With each write anew, so that a register outlives every outcome of its pair.
        return int((now + self._retention).timestamp())


def _fitting(lease: Lease) -> str:
    text = lease.register.as_text()
    if len(text) <= REGISTER:
        return text
    # Of thousands of sends in doubt on one pair, those made first are the least likely to land still.
    logger.error("register cut", pair=str(lease.wanted.pair), portal=lease.wanted.portal, characters=len(text))
    return lease.register.as_text(REGISTER)


def _listed(wanted: Wanted) -> Item:
    """What makes a pair one of its portal's list, with each write anew: pairs of older versions are not in it."""
    return {"pairKey": pairs_key(wanted.portal), "sortKey": f"{wanted.pair.from_type}#{wanted.item_id}"}


def _ids(item: Item) -> list[str]:
    return str(item["intent"]).split()
