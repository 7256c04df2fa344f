"""The ledger: one item per outcome, written twice for a request that goes well (claim and settle)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from batch_create.errors import LeaseLost
from batch_create.items import from_outcome, to_outcome
from batch_create.outcomes import Outcome, Request, Status, iso, new_outcome
from batch_create.table import ConditionFailed, Item, Table

ATTEMPTS_KEPT = 50  # the latest; enough to see half a day of retries, small enough for one item
TOLD = ("inputs", "attempts", "hubspot", "finishedAt", "retryAt", "reason")  # what a settlement says


class Standing(StrEnum):
    """What the ledger says to one who wants to run a request."""

    OURS = "OURS"  # nobody else may run it until the lease ends
    WAITING = "WAITING"  # accepted before, and still for the queue to run
    FINISHED = "FINISHED"  # done before: the outcome is the answer
    ELSEWHERE = "ELSEWHERE"  # another worker is at it
    ANOTHER_REQUEST = "ANOTHER_REQUEST"  # the id belongs to a request that asks for something else
    UNREACHED = "UNREACHED"  # no word from the ledger: nothing may be done


@dataclass(frozen=True)
class Claim:
    """The answer to a claim. `fence` grows with each claim; `abandoned` means that the last holder never settled."""

    standing: Standing
    outcome: Outcome
    fence: int = 0
    abandoned: bool = False
    lease_until: datetime | None = None


class Ledger:
    """Writes and reads outcomes. Every method raises LedgerUnavailable when the table cannot be reached."""

    def __init__(self, table: Table, retention: timedelta) -> None:
        self._table = table
        self._retention = retention

    def accept(self, request: Request, now: datetime) -> Claim:
        """Write a new request as QUEUED, for us to hand to the queue. WAITING when it was accepted before: sending it
        once more does no harm, and mends an acceptance that died before it was sent."""
        outcome = new_outcome(request, Status.QUEUED)
        try:
            self._table.put_new({**self._first(request, outcome, now), **_status(outcome.portal, outcome.status)})
        except ConditionFailed as failed:
            return self._standing(request, failed.item)
        return Claim(Standing.OURS, outcome)

    def claim(self, request: Request, now: datetime, lease_until: datetime) -> Claim:
        """Take a request for ourselves until `lease_until`, unless it is finished or somebody else holds it."""
        try:
            item = self._table.update(
                request.id,
                {**_status(request.envelope.portal, Status.RUNNING), "leaseUntil": iso(lease_until)},
                first={**self._first(request, new_outcome(request, Status.RUNNING), now), "startedAt": iso(now)},
                count="fence",
                remove=["retryAt", "reason"],
                condition="attribute_not_exists(id) OR (fingerprint = :fingerprint AND"
                " (#status IN (:queued, :deferred) OR (#status = :status AND leaseUntil < :now)))",
                condition_values={":queued": Status.QUEUED, ":deferred": Status.DEFERRED, ":now": iso(now)},
            )
        except ConditionFailed as failed:
            return self._standing(request, failed.item)
        fence = item["fence"]
        # A holder that settles leaves its fence behind; where it is missing, the last holder died at its work.
        abandoned = item.get("settledFence", 0) != fence - 1
        return Claim(Standing.OURS, to_outcome(item), fence, abandoned, lease_until)

    def settle(self, outcome: Outcome, fence: int) -> None:
        """Write what became of a request we hold: final, or DEFERRED. Raises LeaseLost when we no longer hold it."""
        item = from_outcome(outcome.model_copy(update={"attempts": outcome.attempts[-ATTEMPTS_KEPT:]}))
        told = {name: item[name] for name in TOLD if name in item}
        try:
            self._table.update(
                outcome.id,
                {**told, **_status(outcome.portal, outcome.status), "settledFence": fence},
                remove=["leaseUntil", *(name for name in TOLD if name not in item)],
                condition="fence = :settledFence AND #status = :running",
                condition_values={":running": Status.RUNNING},
            )
        except ConditionFailed as failed:
            raise LeaseLost(outcome.id) from failed

    def record(self, outcome: Outcome, now: datetime) -> None:
        """Keep an outcome that is final from the start, such as that of a message that is no request."""
        try:
            self._table.put_new(
                {**from_outcome(outcome), **_status(outcome.portal, outcome.status), **self._kept(outcome, now)}
            )
        except ConditionFailed:
            return  # a redelivery: the first record stands

    def give_up(self, outcome: Outcome, reason: str, now: datetime) -> None:
        """Make an accepted request that could not be queued FAILED, unless somebody has begun it meanwhile."""
        try:
            self._table.update(
                outcome.id,
                {**_status(outcome.portal, Status.FAILED), "reason": reason, "finishedAt": iso(now)},
                condition="#status = :queued",
                condition_values={":queued": Status.QUEUED},
            )
        except ConditionFailed:
            return  # it is being run after all, and that is better

    def get(self, outcome_id: str) -> Outcome | None:
        """The outcome as last written, or None."""
        item = self._table.get(outcome_id)
        return to_outcome(item) if item else None

    def _first(self, request: Request, outcome: Outcome, now: datetime) -> Item:
        envelope = request.envelope
        return {
            **from_outcome(outcome),
            **self._kept(outcome, now),
            "fingerprint": request.fingerprint,
            "pairKey": pair_key(envelope.portal, envelope.from_object_type, envelope.to_object_type),
        }

    def _kept(self, outcome: Outcome, now: datetime) -> Item:
        # The id makes the sort key unique, so that a page can end between two outcomes of the same millisecond.
        return {
            "sortKey": f"{iso(outcome.requested_at)}#{outcome.id}",
            "expiresAt": int((now + self._retention).timestamp()),
        }

    def _standing(self, request: Request, item: Item) -> Claim:
        outcome = to_outcome(item)
        if item.get("fingerprint") != request.fingerprint:
            return Claim(Standing.ANOTHER_REQUEST, outcome)
        if outcome.status.final:
            return Claim(Standing.FINISHED, outcome)
        if outcome.status is Status.RUNNING:
            return Claim(Standing.ELSEWHERE, outcome, lease_until=datetime.fromisoformat(item["leaseUntil"]))
        return Claim(Standing.WAITING, outcome)


def pair_key(portal: str, from_object_type: str, to_object_type: str) -> str:
    """The partition of the index by pair."""
    return f"{portal}#{from_object_type}#{to_object_type}"


def status_key(portal: str, status: Status) -> str:
    """The partition of the index by status."""
    return f"{portal}#{status}"


def _status(portal: str, status: Status) -> Item:
    return {"status": status, "statusKey": status_key(portal, status)}
