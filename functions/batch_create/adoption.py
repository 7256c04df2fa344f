"""Adoption: a worker that takes a pair runs what waits for it, and finishes first what a dead holder has left."""

from __future__ import annotations

from batch_create.claimed_request import ClaimedRequest
from batch_create.dependencies import Dependencies
from batch_create.ports import Point
from ledger.leases import Lease
from ledger.register import conservative
from model.errors import LedgerUnavailable
from model.outcomes import Trigger
from runtime.telemetry import logger


def adopt(lease: Lease, deps: Dependencies) -> tuple[list[ClaimedRequest], bool]:
    """The requests that a worker runs besides its own, and whether all that was left is known: else nothing may be
    sent. What the dead holder has settled, or may have sent, is entered into the register."""
    if not lease.orphans and not lease.waiting:
        return [], True
    now = deps.clock()
    naming = deps.leases.naming(lease, [outcome_id for outcome_id, _ in lease.waiting])
    try:
        adoption = deps.ledger.adopt(lease, naming, now)
    except LedgerUnavailable as error:
        logger.error("adoption failed", pair=str(lease.wanted.pair), error=str(error))
        return [], not lease.orphans  # those that wait look for themselves
    for outcome in adoption.others:
        lease.register.enter(outcome, lease.died_by)
        if outcome.attempts or outcome.doubt or not outcome.status.final:
            for sent in conservative(outcome, lease.died_by):
                lease.register.send(sent)
    if adoption.claims:
        deps.reached(Point.AFTER_CLAIM)
    adopted = [
        ClaimedRequest(
            claim,
            lease.wanted.pair,
            now,
            deps.default_api_version,
            interactive=claim.outcome.trigger is Trigger.WEBHOOK and not claim.abandoned,
        )
        for claim in adoption.claims
    ]
    return adopted, adoption.named
