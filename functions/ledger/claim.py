"""Claims: a worker takes a request under a lease, by a conditional write, and learns whether it may run it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from aws.dynamodb import STATEMENTS_IN_ONE_WRITE, Change, ConditionFailed, Item, Put, Table, Written
from ledger.items import from_outcome, pair_key, status_attributes, to_outcome
from ledger.leases import Lease, Leases, Taken, Wanted
from model.errors import LedgerUnavailable
from model.object_types import object_type_id
from model.outcomes import Outcome, Request, Status, Trigger, new_outcome
from model.pair import Pair
from model.records import iso, milliseconds

CLAIMED_TOGETHER = STATEMENTS_IN_ONE_WRITE  # requests that one write takes
PARKED = ("parked", "dueKey", "dueSort")  # what only one has that waits in the ledger alone
RUNNING = ("status", "statusKey", "leaseUntil", "holder", "fingerprint", "pairKey")  # what each claim writes anew

# By so much another clock may be ahead of ours and still be right: requests by one clock keep its order.
CLOCKS_DIFFER = timedelta(seconds=5)


class ClaimStatus(StrEnum):
    """Whether the worker may run the request, and why not."""

    CLAIMED = "CLAIMED"  # nobody else may run it until the lease ends
    QUEUED = "QUEUED"  # accepted before, and still for the queue to run
    FINAL = "FINAL"  # done before: the outcome is the answer
    LEASED = "LEASED"  # another worker runs it, or something of its pair
    DEFERRED = "DEFERRED"  # its time has not come
    KEY_REUSED = "KEY_REUSED"  # the id belongs to a request that asks for something else
    LEDGER_UNAVAILABLE = "LEDGER_UNAVAILABLE"  # without an answer from the ledger nothing may be done


@dataclass(frozen=True)
class Claim:
    """The answer to a claim. `fence` grows with each claim, those included by which others have adopted the request;
    `abandoned` means that the last holder never settled."""

    claim_status: ClaimStatus
    outcome: Outcome
    fence: int = 0
    abandoned: bool = False
    lease_until: datetime | None = None
    adoptions: int = 0

    @property
    def claims(self) -> int:
        """How often it was claimed by who carries it on if it must wait; whoever adopts it does not."""
        return self.fence - self.adoptions


@dataclass(frozen=True)
class Adoption:
    """What a worker runs besides its own requests, and those orphans that are settled or that others run. Unless all of
    it was `named` in the lease, nothing may be sent."""

    claims: Sequence[Claim]
    others: Sequence[Outcome]
    named: bool


class Claims:
    """Takes requests. Every method raises LedgerUnavailable when the table cannot be reached."""

    def __init__(self, table: Table, retention: timedelta) -> None:
        self._table = table
        self._retention = retention

    def accept(self, request: Request, now: datetime) -> Claim:
        """Write a new request as QUEUED, for the caller to send to the queue. QUEUED when it was accepted before: to
        send it once more does no harm, and helps if the first caller died before it could."""
        outcome = new_outcome(request, Status.QUEUED)
        try:
            self._table.put_new(self._item(outcome, now, request))
        except ConditionFailed as failed:
            return claim_status(request, failed.item)
        return Claim(ClaimStatus.CLAIMED, outcome)

    def accept_new(self, requests: Sequence[Request], now: datetime) -> list[Claim | None]:
        """Write requests as QUEUED, in as few writes as DynamoDB allows. None for those that the ledger knows already,
        and for failed writes: `accept` is for these."""
        items = [self._item(new_outcome(each, Status.QUEUED), now, each) for each in requests]
        written = self._table.write_many([Put(item) for item in items])
        return [
            Claim(ClaimStatus.CLAIMED, to_outcome(item)) if each.done else None
            for item, each in zip(items, written, strict=True)
        ]

    def standing(self, requests: Sequence[Request]) -> list[Claim | None]:
        """How requests stand that the ledger knows, as their claims would say. None for those that it does not know."""
        items = {item["id"]: item for item in self._table.get_many([request.id for request in requests])}
        return [claim_status(request, items[request.id]) if request.id in items else None for request in requests]

    def claim_new(
        self, requests: Sequence[Request], holder: str, now: datetime, lease_until: datetime
    ) -> list[Claim | None]:
        """Take those requests that the ledger does not know yet, in as few writes as DynamoDB allows. None for the
        others and for failed writes: `claim` is for these."""
        items = {
            request.id: self._first_run(request, holder, now, lease_until)
            for request in requests
            if request.outcome_id is None
        }
        written = dict(zip(items, self._table.write_many([Put(item) for item in items.values()]), strict=True))
        return [
            _claimed(items[request.id], written[request.id], lease_until) if request.id in items else None
            for request in requests
        ]

    def claim_and_take(
        self, request: Request, wanted: Wanted, leases: Leases, holder: str, now: datetime, lease_until: datetime
    ) -> tuple[Claim | None, Taken]:
        """Take a request that the ledger does not know yet and its pair, in one write. None for a request that it knows
        already, or that could not be written: `claim` is for these."""
        item = self._first_run(request, holder, now, lease_until)
        claim, lease = self._table.write_many([Put(item), leases.statement(wanted, holder, now, lease_until)])
        return _claimed(item, claim, lease_until), leases.taken(wanted, lease, holder, now, lease_until)

    def claim(self, request: Request, holder: str, now: datetime, lease_until: datetime) -> Claim:
        """Take a request until `lease_until`, unless it is finished or another worker has it."""
        first = self._running(request, holder, now, lease_until)
        running = {name: first.pop(name) for name in RUNNING if name in first}
        try:
            item = self._table.update(
                request.id,
                running,
                first=first,
                count="fence",
                remove=["retryAt", "reason", *PARKED],
                answer=True,
                condition="attribute_not_exists(id) OR ("
                "(fingerprint = :fingerprint OR fingerprint = :spelt OR fingerprintAsSpelt = :spelt)"
                " AND (#status = :queued OR (#status = :deferred AND #retryAt <= :now)"
                " OR (#status = :status AND leaseUntil < :now)))",
                condition_values={
                    ":spelt": request.fingerprint_as_spelt,
                    ":queued": Status.QUEUED,
                    ":deferred": Status.DEFERRED,
                    ":now": iso(now),
                },
            )
        except ConditionFailed as failed:
            item = failed.item
            # One's own claim whose answer was lost, as botocore asks again by itself.
            if item.get("holder") != holder or item["status"] != Status.RUNNING:
                return claim_status(request, item)
        return _held(item, lease_until)

    def adopt(self, lease: Lease, naming: Change, now: datetime) -> Adoption:
        """Take what a dead holder had taken a pair for, and what waits for it. `naming` is the write that names all of
        it in the lease."""
        fences, orphans, own = dict(lease.waiting), set(lease.orphans), set(lease.wanted.outcome_ids)
        ids = [each for each in dict.fromkeys([*lease.orphans, *fences]) if each not in own]
        # A dead holder may have named an id that belongs to another pair's request.
        found = self._table.get_many(ids)
        items = {item["id"]: item for item in found if not _is_of_another_pair(to_outcome(item), lease.wanted.pair)}
        wanted = [item for item in items.values() if _adoptable(item, orphans, fences, now)]
        changes = [
            Change(
                item["id"],
                {
                    "fence": item["fence"] + 1,
                    "adoptions": _adoptions(item) + 1,
                    "holder": lease.holder,
                    "leaseUntil": iso(lease.until),
                    # As `claim` does: it may have been filed as it is spelt.
                    "pairKey": pair_key(lease.wanted.portal, lease.wanted.pair.from_type, lease.wanted.pair.to_type),
                },
                (),
                {"fence": item["fence"], "status": Status.RUNNING},
            )
            for item in wanted
        ]
        *written, named = self._table.write_many([*changes, naming])
        claims = []
        for before, write in zip(wanted, written, strict=True):
            outcome_id, fence = before["id"], before["fence"]
            if not write.done:
                items[outcome_id] = self._table.get(outcome_id) or before
            if write.done or items[outcome_id].get("holder") == lease.holder:
                # Who waits has sent nothing; but a holder before it may have, and died.
                clean = fences.get(outcome_id) == fence and before.get("settledFence", 0) == fence - 1
                adopted = Claim(ClaimStatus.CLAIMED, to_outcome(before), fence + 1, abandoned=not clean)
                claims.append(replace(adopted, adoptions=_adoptions(before) + 1))
                del items[outcome_id]
        return Adoption(claims, [to_outcome(items[each]) for each in lease.orphans if each in items], named.done)

    def waiting(self, outcome_id: str, wanted: Wanted, now: datetime) -> tuple[Outcome, int, bool]:
        """How a request stands that waits for its pair: its outcome and fence, and whether nobody holds the pair."""
        items = {item["id"]: item for item in self._table.get_many([outcome_id, wanted.item_id])}
        if outcome_id not in items:
            raise LedgerUnavailable(f"outcome {outcome_id} was there and is gone")
        pair = items.get(wanted.item_id)
        free = pair is None or bool(pair["until"] < milliseconds(now))
        return to_outcome(items[outcome_id]), items[outcome_id].get("fence", 0), free

    def _first_run(self, request: Request, holder: str, now: datetime, lease_until: datetime) -> Item:
        item = self._running(request, holder, now, lease_until) | {"fence": 1}
        # Its message brings it back, so that the sweep need not find it. Not so later: who moves or purges what has
        # come back a few times takes the message away. And what has no pair yet is in no list by pair.
        if request.trigger is Trigger.QUEUE and not request.redelivered and request.pair:
            del item["statusKey"]
        return item

    def _running(self, request: Request, holder: str, now: datetime, lease_until: datetime) -> Item:
        outcome = new_outcome(request, Status.RUNNING, started_at=now)
        return self._item(outcome, now, request) | {"leaseUntil": iso(lease_until), "holder": holder}

    def _item(self, outcome: Outcome, now: datetime, request: Request | None = None) -> Item:
        if outcome.requested_at > now + CLOCKS_DIFFER:
            # An age is fixed here, when the ledger first hears of a request: a wrong clock makes nobody younger.
            outcome = replace(outcome, requested_at=now)
        item = from_outcome(outcome) | status_attributes(outcome.portal, outcome.status)
        # The id makes the sort key unique, so that a page can end between two outcomes of the same millisecond.
        item["sortKey"] = f"{iso(outcome.requested_at)}#{outcome.id}"
        item["expiresAt"] = int((now + self._retention).timestamp())
        if request:  # what is none is of no pair
            envelope, pair = request.envelope, request.pair
            names = envelope.from_object_type, envelope.to_object_type
            own = [object_type_id(name) for name in names]  # of HubSpot's own types, which everybody knows
            types = (pair.from_type, pair.to_type) if pair else (own[0] or names[0], own[1] or names[1])
            item["fingerprint"] = request.fingerprint
            item["pairKey"] = pair_key(outcome.portal, *types)
            if pair and not all(own):  # so that it is recognised also while HubSpot cannot be asked
                item["fingerprintAsSpelt"] = request.fingerprint_as_spelt
        return item


def _claimed(item: Item, written: Written, lease_until: datetime) -> Claim | None:
    return Claim(ClaimStatus.CLAIMED, to_outcome(item), 1, lease_until=lease_until) if written.done else None


def _held(item: Item, lease_until: datetime) -> Claim:
    fence = item["fence"]
    # A holder that settles leaves its fence in settledFence. Where that is missing, the last holder has died.
    abandoned = item.get("settledFence", 0) != fence - 1
    return Claim(ClaimStatus.CLAIMED, to_outcome(item), fence, abandoned, lease_until, _adoptions(item))


def _adoptions(item: Item) -> int:
    return int(item.get("adoptions", 0))


def _is_of_another_pair(outcome: Outcome, pair: Pair) -> bool:
    types = [name and object_type_id(name) for name in (outcome.from_object_type, outcome.to_object_type)]
    # Of custom types only the pair's own id is known here: they count as the pair's.
    return any(
        known is not None and known != own for known, own in zip(types, (pair.from_type, pair.to_type), strict=True)
    )


def _adoptable(item: Item, orphans: Collection[str], fences: Mapping[str, int], now: datetime) -> bool:
    if item["status"] != Status.RUNNING:
        return False
    return fences.get(item["id"]) == item["fence"] or (item["id"] in orphans and item["leaseUntil"] < iso(now))


def claim_status(request: Request, item: Item) -> Claim:
    """The answer of an item that is there to a worker that wants its request."""
    outcome = to_outcome(item)
    claim = Claim(ClaimStatus.QUEUED, outcome, item.get("fence", 0), adoptions=_adoptions(item))
    asked = {request.fingerprint, request.fingerprint_as_spelt}
    if asked.isdisjoint((item.get("fingerprint"), item.get("fingerprintAsSpelt"))):
        return replace(claim, claim_status=ClaimStatus.KEY_REUSED)
    if outcome.status.final:
        return replace(claim, claim_status=ClaimStatus.FINAL)
    if outcome.status is Status.RUNNING:
        lease_until = datetime.fromisoformat(item["leaseUntil"])
        return replace(claim, claim_status=ClaimStatus.LEASED, lease_until=lease_until)
    return replace(claim, claim_status=ClaimStatus.DEFERRED) if outcome.retry_at else claim
