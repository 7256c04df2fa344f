"""Settling: requests are written as they have ended, and their pair is given back in the same write."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from batch_create.claimed_request import ClaimedRequest
from batch_create.dependencies import Dependencies
from batch_create.ports import Point
from ledger.leases import Lease
from model.errors import LeaseLost, LedgerUnavailable
from model.outcomes import Outcome, Status
from runtime.telemetry import count, logger

LEDGER_RETRY = timedelta(seconds=30)  # before another try of a request that could not be written


def settle(finished: Iterable[ClaimedRequest], deps: Dependencies, lease: Lease | None = None) -> None:
    """Settle those requests that are not settled yet. With a lease, its register is recorded and it is given back.

    The writes are no transaction, and need be none: what is in the register and not settled is found there by whoever
    runs it again; what is settled under a lease that was not given back is found by whoever takes it over.
    """
    requests = [request for request in finished if not request.settled]
    for request in requests:
        request.settled = True
        zone = deps.zone(request.outcome.portal)
        request.conclude(deps.clock(), zone, deps.jitter(), deps.give_up_after)
    together = len(requests) + bool(lease) > 1
    written: Sequence[bool] = [False] * (len(requests) + bool(lease))
    if together:
        deps.reached(Point.BEFORE_SETTLE)
        also = [deps.leases.giving_back(lease, deps.clock())] if lease else []
        written = deps.ledger.settle_many([(each.outcome, each.fence) for each in requests], also)
        if any(written):
            deps.reached(Point.AFTER_SETTLE)
    _tell([request for request, done in zip(requests, written, strict=False) if done or _written_alone(request, deps)])
    if lease and not written[-1]:
        _give_back_alone(lease, deps)
    _park([each.outcome for each in requests if each.outcome.parked], deps)


def _written_alone(request: ClaimedRequest, deps: Dependencies) -> bool:
    deps.reached(Point.BEFORE_SETTLE)
    outcome = request.outcome
    try:
        deps.ledger.settle(outcome, request.fence)
    except (LeaseLost, LedgerUnavailable) as error:
        # Not written is not done: whoever takes it over reads back what was applied.
        logger.error("settle failed", outcome_id=outcome.id, reason=type(error).__name__, error=str(error))
        request.outcome = unsettled(outcome, deps.clock())
        return False
    deps.reached(Point.AFTER_SETTLE)
    return True


def _give_back_alone(lease: Lease, deps: Dependencies) -> None:
    try:
        if not deps.leases.give_back(lease, deps.clock()):
            # Whoever has it now knows from the lease what may have been sent under it.
            logger.error("lease lost", pair=str(lease.wanted.pair), portal=lease.wanted.portal)
    except LedgerUnavailable as error:
        logger.error("lease not given back", pair=str(lease.wanted.pair), error=str(error))


def _tell(settled: Sequence[ClaimedRequest]) -> None:
    by_status: dict[Status, list[str]] = {}
    for request in settled:
        by_status.setdefault(request.outcome.status, []).append(request.outcome.id)
    for status, ids in by_status.items():  # in one line, as a line for each takes a tenth of a message's processor time
        logger.info("settled", status=status, outcome_ids=ids)
        count(f"Outcome{status.title()}", len(ids))
    if misconfigured := next((request.outcome for request in settled if request.misconfigured), None):
        # Of the portal the log tells: a metric of each would cost as much as its secret.
        logger.error("portal misconfigured", portal=misconfigured.portal, reason=misconfigured.reason)
        count("PortalMisconfigured")


def _park(outcomes: Sequence[Outcome], deps: Dependencies) -> None:
    """Have what waits in the ledger found when it is due."""
    due = {outcome.portal: outcome.retry_at for outcome in sorted(outcomes, key=_retry_at, reverse=True)}
    for portal, retry_at in due.items():
        try:
            deps.gates.wait(portal, retry_at or deps.clock(), deps.clock())
        except LedgerUnavailable as error:  # the sweep sees that it waits, later
            logger.error("gate not written", portal=portal, error=str(error))


def _retry_at(outcome: Outcome) -> datetime:
    return outcome.retry_at or outcome.requested_at


def unsettled(outcome: Outcome, now: datetime) -> Outcome:
    """The outcome as its caller gets it when the ledger could not be written."""
    return replace(
        outcome,
        status=Status.DEFERRED,
        reason="the ledger could not be written",
        retry_at=now + LEDGER_RETRY,
        finished_at=None,
        parked=None,
    )
