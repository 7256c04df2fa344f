"""The ledger: one item per outcome, written twice for a request that goes well (claim and settle)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from aws.dynamodb import KEYS_IN_ONE_READ, Change, ConditionFailed, Item
from ledger.claim import PARKED, Claims, ClaimStatus, claim_status
from ledger.items import from_outcome, status_attributes, status_key, to_outcome, waiting_attributes
from model.errors import LeaseLost
from model.outcomes import UNREAD, Outcome, Request, Status, new_outcome, unproven
from model.records import iso

ATTEMPTS_KEPT = 50  # the latest; enough to see half a day of retries, small enough for one item
SETTLED = ("inputs", "attempts", "hubspot", "finishedAt", "retryAt", "reason", "doubt")  # what a settlement writes
LETTER_RUNS = "letterRuns"
STUCK_AFTER = timedelta(minutes=30)  # longer than SQS delays a message, and than any function runs
SWEPT_AGAIN_AFTER = timedelta(hours=12)  # a message that was put back can stay in the queue for long


class Ledger(Claims):
    """Claims, settles and reads outcomes. Every method raises LedgerUnavailable when the table cannot be reached."""

    def settle(self, outcome: Outcome, fence: int) -> None:
        """Write the outcome of a claimed request: final, or DEFERRED. Raises LeaseLost when another worker has it."""
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
            # One's own settlement whose answer was lost, as botocore asks again by itself.
            if failed.item.get("settledFence") != fence:
                raise LeaseLost(outcome.id) from failed

    def settle_many(self, settled: Sequence[tuple[Outcome, int]], also: Sequence[Change] = ()) -> list[bool]:
        """Settle outcomes, and make other changes, in as few writes as DynamoDB allows. Returns for each whether it was
        written; `settle` tells why an outcome was not."""
        changes = [*(_settlement(outcome, fence) for outcome, fence in settled), *also]
        return [each.done for each in self._table.write_many(changes)]

    def requeue(self, outcome: Outcome, fence: int) -> None:
        """Let a claimed request of which nothing was sent since be QUEUED again, with the doubt that it has, unless
        another worker has it by now."""
        values = status_attributes(outcome.portal, Status.QUEUED) | {"settledFence": fence}
        values["waits"] = (outcome.waits or 0) + 1
        if outcome.doubt:
            values["doubt"] = from_outcome(outcome)["doubt"]
        self._write_if_still(Status.RUNNING, outcome, values, fence)

    def park(self, outcome: Outcome) -> datetime | None:
        """Let a DEFERRED outcome wait in the ledger alone, if it still waits as it did. Returns until when."""
        parked = replace(outcome, parked=True)
        if outcome.status is not Status.DEFERRED or outcome.retry_at is None:
            return None
        self._write_if_still(Status.DEFERRED, outcome, {"parked": True, **waiting_attributes(parked)})
        return outcome.retry_at

    def record(self, outcome: Outcome, now: datetime) -> None:
        """Keep an outcome that is final from the start, such as that of a message that is no request."""
        with suppress(ConditionFailed):  # a redelivery: the first record stands
            self._table.put_new(self._item(outcome, now))

    def fail(self, request: Request, reason: str, received: str, now: datetime) -> ClaimStatus:
        """Make a request FAILED that its queue has given up, and keep the text of its message: CLAIMED. FINAL when it
        was finished before; LEASED while a worker has it; KEY_REUSED when its id belongs to another request. What was
        sent without a clear answer becomes UNCONFIRMED."""
        end: dict[str, Any] = {"finished_at": now, "received": received, "retry_at": None, "doubt": None}
        given_up = replace(new_outcome(request, Status.FAILED), reason=reason, **end)
        try:
            self._table.put_new(self._item(given_up, now, request))
            return ClaimStatus.CLAIMED
        except ConditionFailed as failed:
            item, claim = failed.item, claim_status(request, failed.item)
        if claim.claim_status in (ClaimStatus.KEY_REUSED, ClaimStatus.FINAL):
            return claim.claim_status
        outcome = claim.outcome
        in_doubt = outcome.status is Status.RUNNING or outcome.doubt is not None
        given_up = replace(
            outcome,
            reason=f"{reason}: {outcome.reason}" if outcome.reason else reason,
            inputs=unproven(outcome.inputs, UNREAD) if in_doubt else outcome.inputs,
            **end,
        )
        # All attributes that can be large are written, so that the whole fits its item.
        attributes = {name: part for name, part in from_outcome(given_up).items() if name in (*SETTLED, "received")}
        try:
            self._table.update(
                outcome.id,
                attributes | status_attributes(outcome.portal, Status.FAILED),
                remove=["retryAt", "leaseUntil", "holder", "doubt", *PARKED],
                condition="#status = :expected AND (attribute_not_exists(fence) OR fence = :fence)"
                " AND (attribute_not_exists(leaseUntil) OR leaseUntil < :now)",
                condition_values={":expected": outcome.status, ":fence": item.get("fence", 0), ":now": iso(now)},
            )
        except ConditionFailed:
            return ClaimStatus.LEASED
        return ClaimStatus.CLAIMED

    def count_letter(self, outcome_id: str) -> int:
        """Count that an outcome's dead letter is run, and how often it was since the outcome was settled last."""
        item = self._table.update(
            outcome_id, {}, count=LETTER_RUNS, condition="attribute_exists(id)", condition_values={}, answer=True
        )
        return int(item[LETTER_RUNS])

    def unfinished(self, portal: str, now: datetime) -> Iterator[tuple[Outcome, bool]]:
        """The open outcomes of a portal, but those whose message was delivered for the first time. Of each status the
        oldest hundred come first. With each whether it is stuck: it is overdue, as its message is lost or was never
        sent, and was not swept lately."""
        for status in (Status.QUEUED, Status.RUNNING, Status.DEFERRED):
            rows = self._table.query(
                "by-status",
                ("statusKey", status_key(portal, status)),
                ("0", "~"),
                KEYS_IN_ONE_READ,
                oldest_first=True,
            )
            while ids := [row["id"] for row in islice(rows, KEYS_IN_ONE_READ)]:
                for item in self._table.get_many(ids):
                    if item["status"] == status:
                        yield to_outcome(item), _is_stuck(item, now)

    def swept(self, outcome: Outcome, now: datetime) -> None:
        """Note that a stuck outcome was put back on the queue."""
        self._write_if_still(outcome.status, outcome, {"sweptAt": iso(now)})

    def link(self, outcome: Outcome, replayed_by: str) -> None:
        """Write into a final outcome which other one replays it: the last, where one replays the rest and one all."""
        self._write_if_still(outcome.status, outcome, {"replayedBy": replayed_by})

    def get(self, outcome_id: str) -> Outcome | None:
        """The outcome as last written, or None."""
        item = self._table.get(outcome_id)
        return to_outcome(item) if item else None

    def _write_if_still(self, status: Status, outcome: Outcome, values: Item, fence: int | None = None) -> None:
        """Write into an outcome that still has a status, and a fence; one that has moved on is left as it is."""
        condition, expected = "#status = :expected", dict[str, Any]({":expected": status})
        if fence is not None:
            condition, expected = f"{condition} AND fence = :fence", {**expected, ":fence": fence}
        with suppress(ConditionFailed):
            self._table.update(outcome.id, values, condition=condition, condition_values=expected)


def _settlement(outcome: Outcome, fence: int) -> Change:
    if len(outcome.attempts) > ATTEMPTS_KEPT:
        outcome = replace(outcome, attempts=outcome.attempts[-ATTEMPTS_KEPT:])
    item = from_outcome(outcome, (*SETTLED, "waits", "parked")) | status_attributes(outcome.portal, outcome.status)
    item |= waiting_attributes(outcome)
    return Change(
        outcome.id,
        {**item, "settledFence": fence},
        remove=["leaseUntil", "holder", LETTER_RUNS, *(name for name in (*SETTLED, "statusKey") if name not in item)],
        expected={"fence": fence, "status": Status.RUNNING},
    )


def _is_stuck(item: Item, now: datetime) -> bool:
    if item.get("sweptAt", "") > iso(now - SWEPT_AGAIN_AFTER) and not item.get("parked"):
        return False
    # Whichever of these exists says until when the outcome was in order.
    due = item.get("leaseUntil") or item.get("retryAt") or item["requestedAt"]
    return str(due) < iso(now - STUCK_AFTER)
