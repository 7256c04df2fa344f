"""The ledger: one item per outcome, written twice for a request that goes well (claim and settle)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice

from aws.dynamodb import KEYS_IN_ONE_READ, STATEMENTS_IN_ONE_WRITE, Change, ConditionFailed, Item, Table
from ledger.claim import Claim, ClaimStatus
from ledger.items import from_outcome, to_outcome
from model.errors import LeaseLost
from model.outcomes import InputOutcome, Outcome, Request, Result, Status, new_outcome
from model.records import iso

CLAIMED_TOGETHER = STATEMENTS_IN_ONE_WRITE  # requests that one write takes
ATTEMPTS_KEPT = 50  # the latest; enough to see half a day of retries, small enough for one item
RUNNING = ("status", "statusKey", "leaseUntil")  # what each claim says anew
SETTLED = ("inputs", "attempts", "hubspot", "finishedAt", "retryAt", "reason", "doubt")  # what a settlement says
STUCK_AFTER = timedelta(minutes=30)  # longer than SQS delays a message, and than any function runs
SWEPT_AGAIN_AFTER = timedelta(hours=12)  # a message that was put back is in the queue for as long as it takes


class Ledger:
    """Writes and reads outcomes. Every method raises LedgerUnavailable when the table cannot be reached."""

    def __init__(self, table: Table, retention: timedelta) -> None:
        self._table = table
        self._retention = retention

    def accept(self, request: Request, now: datetime) -> Claim:
        """Write a new request as QUEUED, for us to hand to the queue. QUEUED when it was accepted before: sending it
        once more does no harm, and mends an acceptance that died before it was sent."""
        outcome = new_outcome(request, Status.QUEUED)
        try:
            self._table.put_new({**self._first(request, outcome, now), **_status(outcome.portal, outcome.status)})
        except ConditionFailed as failed:
            return self._claim_status(request, failed.item)
        return Claim(ClaimStatus.CLAIMED, outcome)

    def claim_new(self, requests: Sequence[Request], now: datetime, lease_until: datetime) -> list[Claim | None]:
        """Take requests in as few writes as DynamoDB allows, each if the ledger does not know it yet. None for
        one that it does know or that the write failed for: `claim` is for these."""
        new: dict[str, tuple[int, Item]] = {}
        for place, request in enumerate(requests):
            if request.outcome_id is None and request.id not in new:
                new[request.id] = place, self._running(request, now, lease_until) | {"fence": 1}
        claims: list[Claim | None] = [None] * len(requests)
        written = self._table.put_new_many([item for _, item in new.values()])
        for (place, item), ours in zip(new.values(), written, strict=True):
            if ours:
                claims[place] = Claim(ClaimStatus.CLAIMED, to_outcome(item), 1, lease_until=lease_until)
        return claims

    def claim(self, request: Request, now: datetime, lease_until: datetime, *, new: bool = True) -> Claim:
        """Take a request for ourselves until `lease_until`, unless it is finished or somebody else holds it. `new` says
        that it may well be new to the ledger."""
        first = self._running(request, now, lease_until)
        running = {name: first.pop(name) for name in RUNNING}
        if new and request.outcome_id is None:
            # To put an item costs half of what it costs to update one.
            item = {**first, **running, "fence": 1}
            with suppress(ConditionFailed):
                self._table.put_new(item)
                return Claim(ClaimStatus.CLAIMED, to_outcome(item), 1, lease_until=lease_until)
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
            return self._claim_status(request, failed.item)
        fence = item["fence"]
        # A holder that settles leaves its fence behind; where it is missing, the last holder died at its work.
        abandoned = item.get("settledFence", 0) != fence - 1
        return Claim(ClaimStatus.CLAIMED, to_outcome(item), fence, abandoned, lease_until)

    def settle(self, outcome: Outcome, fence: int) -> None:
        """Write what became of a request we hold: final, or DEFERRED. Raises LeaseLost when we no longer hold it."""
        settlement = _settlement(outcome, fence)
        try:
            self._table.update(
                outcome.id,
                settlement.values,
                remove=settlement.remove,
                condition="fence = :settledFence AND #status = :running",
                condition_values={":running": Status.RUNNING},
            )
        except ConditionFailed as failed:
            raise LeaseLost(outcome.id) from failed

    def settle_many(self, settled: Sequence[tuple[Outcome, int]]) -> list[bool]:
        """Settle outcomes in as few writes as DynamoDB allows. Of each whether it was: of one that was not,
        `settle` tells why."""
        return self._table.change_many([_settlement(outcome, fence) for outcome, fence in settled])

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
        failed = {**_status(outcome.portal, Status.FAILED), "reason": reason, "finishedAt": iso(now)}
        self._write_if_still(Status.QUEUED, outcome, failed)

    def fail(self, request: Request, reason: str, received: str, now: datetime) -> ClaimStatus:
        """Make a request FAILED that its queue has given up, and keep its message's text: CLAIMED. FINAL when it was
        so before; LEASED while somebody still holds it; KEY_REUSED when its id belongs to one that asks for
        something else. What was sent without a clear answer becomes UNCONFIRMED."""
        try:
            given_up = replace(new_outcome(request, Status.FAILED), finished_at=now, received=received, reason=reason)
            self._table.put_new({**self._first(request, given_up, now), **_status(given_up.portal, Status.FAILED)})
        except ConditionFailed as failed:
            item, outcome = failed.item, to_outcome(failed.item)
            if item.get("fingerprint") != request.fingerprint:
                return ClaimStatus.KEY_REUSED
            if outcome.status.final:
                return ClaimStatus.FINAL
            in_doubt = outcome.status is Status.RUNNING or outcome.doubt is not None
            failed_outcome = replace(
                outcome,
                finished_at=now,
                received=received,
                reason=f"{reason}: {outcome.reason}" if outcome.reason else reason,
                inputs=_unconfirmed(outcome) if in_doubt else outcome.inputs,
                retry_at=None,
                doubt=None,
            )
            attributes = from_outcome(failed_outcome)
            try:
                self._table.update(
                    outcome.id,
                    {
                        # All that can be large, so that the whole fits its item.
                        **{name: attributes[name] for name in (*SETTLED, "received") if name in attributes},
                        **_status(outcome.portal, Status.FAILED),
                    },
                    remove=["retryAt", "leaseUntil", "doubt"],
                    condition="#status = :expected AND (attribute_not_exists(fence) OR fence = :fence)"
                    " AND (attribute_not_exists(leaseUntil) OR leaseUntil < :now)",
                    condition_values={":expected": outcome.status, ":fence": item.get("fence", 0), ":now": iso(now)},
                )
            except ConditionFailed:
                return ClaimStatus.LEASED
        return ClaimStatus.CLAIMED

    def stuck(self, portal: str, now: datetime) -> Iterator[Outcome]:
        """The outcomes of a portal that should have been taken further some time ago and were not: their message is
        lost, or was never sent. One that was swept lately is left out."""
        for status in (Status.QUEUED, Status.RUNNING, Status.DEFERRED):
            rows = self._table.query("by-status", ("statusKey", status_key(portal, status)), ("0", "~"), 100)
            while ids := [row["id"] for row in islice(rows, KEYS_IN_ONE_READ)]:
                for item in self._table.get_many(ids):
                    if item["status"] == status and _is_stuck(item, now):
                        yield to_outcome(item)

    def swept(self, outcome: Outcome, now: datetime) -> None:
        """Note that a stuck outcome was put back on the queue."""
        self._write_if_still(outcome.status, outcome, {"sweptAt": iso(now)})

    def link(self, outcome: Outcome, replayed_by: str) -> None:
        """Write into a final outcome which other one replays it. Every replay of an outcome has the same id."""
        self._write_if_still(outcome.status, outcome, {"replayedBy": replayed_by})

    def get(self, outcome_id: str) -> Outcome | None:
        """The outcome as last written, or None."""
        item = self._table.get(outcome_id)
        return to_outcome(item) if item else None

    def _write_if_still(self, status: Status, outcome: Outcome, values: Item) -> None:
        """Write into an outcome that still has a status; one that has moved on meanwhile is left as it is."""
        with suppress(ConditionFailed):
            self._table.update(
                outcome.id, values, condition="#status = :expected", condition_values={":expected": status}
            )

    def _running(self, request: Request, now: datetime, lease_until: datetime) -> Item:
        return {
            **self._first(request, new_outcome(request, Status.RUNNING), now),
            **_status(request.envelope.portal, Status.RUNNING),
            "startedAt": iso(now),
            "leaseUntil": iso(lease_until),
        }

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

    def _claim_status(self, request: Request, item: Item) -> Claim:
        outcome = to_outcome(item)
        if item.get("fingerprint") != request.fingerprint:
            return Claim(ClaimStatus.KEY_REUSED, outcome)
        if outcome.status.final:
            return Claim(ClaimStatus.FINAL, outcome)
        if outcome.status is Status.RUNNING:
            return Claim(ClaimStatus.LEASED, outcome, lease_until=datetime.fromisoformat(item["leaseUntil"]))
        return Claim(ClaimStatus.DEFERRED if outcome.retry_at else ClaimStatus.QUEUED, outcome)


def pair_key(portal: str, from_object_type: str, to_object_type: str) -> str:
    """The partition of the index by pair."""
    return f"{portal}#{from_object_type}#{to_object_type}"


def status_key(portal: str, status: Status) -> str:
    """The partition of the index by status."""
    return f"{portal}#{status}"


def _settlement(outcome: Outcome, fence: int) -> Change:
    item = from_outcome(replace(outcome, attempts=outcome.attempts[-ATTEMPTS_KEPT:]))
    settled = {name: item[name] for name in SETTLED if name in item}
    return Change(
        outcome.id,
        {**settled, **_status(outcome.portal, outcome.status), "settledFence": fence},
        remove=["leaseUntil", *(name for name in SETTLED if name not in item)],
        expected={"fence": fence, "status": Status.RUNNING},
    )


def _unconfirmed(outcome: Outcome) -> tuple[InputOutcome, ...]:
    message = "it may have been sent, and was not read back until it was given up"
    return tuple(
        replace(item, result=Result.UNCONFIRMED, message=message) if item.result is Result.PENDING else item
        for item in outcome.inputs
    )


def _is_stuck(item: Item, now: datetime) -> bool:
    if item.get("sweptAt", "") > iso(now - SWEPT_AGAIN_AFTER):
        return False
    # Whichever is there says until when the outcome was in order as it stands.
    due = item.get("leaseUntil") or item.get("retryAt") or item["requestedAt"]
    return str(due) < iso(now - STUCK_AFTER)


def _status(portal: str, status: Status) -> Item:
    return {"status": status, "statusKey": status_key(portal, status)}
