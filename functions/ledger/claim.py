"""Claims: a worker takes a request under a lease, by a conditional write, and learns whether it may run it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from aws.dynamodb import STATEMENTS_IN_ONE_WRITE, ConditionFailed, Item, Table
from ledger.items import from_outcome, pair_key, status_attributes, to_outcome
from model.outcomes import Outcome, Request, Status, new_outcome
from model.records import iso

CLAIMED_TOGETHER = STATEMENTS_IN_ONE_WRITE  # requests that one write takes
RUNNING = ("status", "statusKey", "leaseUntil")  # what each claim writes anew


class ClaimStatus(StrEnum):
    """Whether the worker may run the request, and why not."""

    CLAIMED = "CLAIMED"  # nobody else may run it until the lease ends
    QUEUED = "QUEUED"  # accepted before, and still for the queue to run
    FINAL = "FINAL"  # done before: the outcome is the answer
    LEASED = "LEASED"  # another worker runs it
    DEFERRED = "DEFERRED"  # its time has not come
    KEY_REUSED = "KEY_REUSED"  # the id belongs to a request that asks for something else
    LEDGER_UNAVAILABLE = "LEDGER_UNAVAILABLE"  # without an answer from the ledger nothing may be done


@dataclass(frozen=True)
class Claim:
    """The answer to a claim. `fence` grows with each claim; `abandoned` means that the last holder never settled."""

    claim_status: ClaimStatus
    outcome: Outcome
    fence: int = 0
    abandoned: bool = False
    lease_until: datetime | None = None


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
            self._table.put_new(self._item(outcome, now, request.fingerprint))
        except ConditionFailed as failed:
            return claim_status(request, failed.item)
        return Claim(ClaimStatus.CLAIMED, outcome)

    def claim_new(self, requests: Sequence[Request], now: datetime, lease_until: datetime) -> list[Claim | None]:
        """Take those requests that the ledger does not know yet, in as few writes as DynamoDB allows. None for the
        others and for failed writes: `claim` is for these."""
        new: dict[str, tuple[int, Item]] = {}
        for place, request in enumerate(requests):
            if request.outcome_id is None and request.id not in new:
                new[request.id] = place, self._running(request, now, lease_until) | {"fence": 1}
        claims: list[Claim | None] = [None] * len(requests)
        # To put an item costs half of what it costs to update one.
        written = self._table.put_new_many([item for _, item in new.values()])
        for (place, item), done in zip(new.values(), written, strict=True):
            if done:
                claims[place] = Claim(ClaimStatus.CLAIMED, to_outcome(item), 1, lease_until=lease_until)
        return claims

    def claim(self, request: Request, now: datetime, lease_until: datetime) -> Claim:
        """Take a request until `lease_until`, unless it is finished or another worker has it."""
        first = self._running(request, now, lease_until)
        running = {name: first.pop(name) for name in RUNNING}
        try:
            item = self._table.update(
                request.id,
                running,
                first=first,
                count="fence",
                remove=["retryAt", "reason"],
                answer=True,
                condition="attribute_not_exists(id) OR (fingerprint = :fingerprint AND (#status = :queued"
                " OR (#status = :deferred AND #retryAt <= :now) OR (#status = :status AND leaseUntil < :now)))",
                condition_values={":queued": Status.QUEUED, ":deferred": Status.DEFERRED, ":now": iso(now)},
            )
        except ConditionFailed as failed:
            return claim_status(request, failed.item)
        fence = item["fence"]
        # A holder that settles leaves its fence in settledFence. Where that is missing, the last holder has died.
        abandoned = item.get("settledFence", 0) != fence - 1
        return Claim(ClaimStatus.CLAIMED, to_outcome(item), fence, abandoned, lease_until)

    def _running(self, request: Request, now: datetime, lease_until: datetime) -> Item:
        outcome = replace(new_outcome(request, Status.RUNNING), started_at=now)
        return self._item(outcome, now, request.fingerprint) | {"leaseUntil": iso(lease_until)}

    def _item(self, outcome: Outcome, now: datetime, fingerprint: str | None = None) -> Item:
        item = from_outcome(outcome) | status_attributes(outcome.portal, outcome.status)
        # The id makes the sort key unique, so that a page can end between two outcomes of the same millisecond.
        item["sortKey"] = f"{iso(outcome.requested_at)}#{outcome.id}"
        item["expiresAt"] = int((now + self._retention).timestamp())
        if fingerprint:  # without one it is no request, and of no pair
            item["fingerprint"] = fingerprint
            item["pairKey"] = pair_key(outcome.portal, outcome.from_object_type or "", outcome.to_object_type or "")
        return item


def claim_status(request: Request, item: Item) -> Claim:
    """The answer of an item that is there to a worker that wants its request."""
    outcome = to_outcome(item)
    if item.get("fingerprint") != request.fingerprint:
        return Claim(ClaimStatus.KEY_REUSED, outcome)
    if outcome.status.final:
        return Claim(ClaimStatus.FINAL, outcome)
    if outcome.status is Status.RUNNING:
        return Claim(ClaimStatus.LEASED, outcome, lease_until=datetime.fromisoformat(item["leaseUntil"]))
    return Claim(ClaimStatus.DEFERRED if outcome.retry_at else ClaimStatus.QUEUED, outcome)
