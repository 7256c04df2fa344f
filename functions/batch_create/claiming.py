"""Claiming: which requests a worker may run by the ledger, its own and those that others have left or wait with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from batch_create.claimed_request import ClaimedRequest
from batch_create.dependencies import Dependencies
from batch_create.plan import chunks
from batch_create.ports import Point
from batch_create.settling import unsettled
from ledger.claim import CLAIMED_TOGETHER, Claim, ClaimStatus
from ledger.leases import Lease, Taken, Wanted
from ledger.register import possible_sends
from model.errors import LedgerUnavailable
from model.outcomes import Outcome, Request, Status, Trigger, new_outcome
from runtime.telemetry import logger

MOST_WAITING = 500  # ours: that are run by one holder, and named in its lease; the others look for themselves


class Claiming:
    """What a run knows of its requests by their ids: a ClaimedRequest is its own to run, a Claim is an answer."""

    def __init__(self, holder: str, until: datetime, deps: Dependencies) -> None:
        self.holder = holder
        self.until = until
        self.known: dict[str, Claim | ClaimedRequest] = {}
        self._deps = deps

    def own(self, requests: Iterable[Request]) -> list[ClaimedRequest]:
        """Those of the requests that this run has claimed, and not settled yet."""
        known = (self.known.get(request.id) for request in requests)
        return [each for each in known if isinstance(each, ClaimedRequest) and not each.settled]

    def answers(self) -> dict[str, Claim]:
        """Each request's claim, with its outcome as it was settled."""
        return {
            outcome_id: each.answer() if isinstance(each, ClaimedRequest) else each
            for outcome_id, each in self.known.items()
        }

    def many(self, requests: Sequence[Request]) -> None:
        """Claim requests: those that are new many at a time, then the others one by one."""
        for some in chunks([each for each in requests if each.id not in self.known], CLAIMED_TOGETHER):
            self._deps.reached(Point.BEFORE_CLAIM)
            now = self._deps.clock()
            claims = self._deps.ledger.claim_new(some, self.holder, now, self.until)
            if any(claims):
                self._deps.reached(Point.AFTER_CLAIM)
            for request, claim in zip(some, claims, strict=True):
                self._know(request, claim, now)
        for request in requests:
            if request.id not in self.known:
                self.one(request)

    def one(self, request: Request) -> None:
        """Claim a request that the ledger may know already."""
        self._deps.reached(Point.BEFORE_CLAIM)
        now = self._deps.clock()
        try:
            claim = self._deps.ledger.claim(request, self.holder, now, self.until)
        except LedgerUnavailable as error:
            self.ledger_unavailable([request], error)
            return
        if claim.claim_status is ClaimStatus.CLAIMED:
            self._deps.reached(Point.AFTER_CLAIM)
        self._know(request, claim, now)

    def with_pair(self, request: Request, wanted: Wanted) -> Taken:
        """Claim a new request and take its pair, in one write."""
        self._deps.reached(Point.BEFORE_CLAIM)
        now, deps = self._deps.clock(), self._deps
        claim, taken = deps.ledger.claim_and_take(request, wanted, deps.leases, self.holder, now, self.until)
        if claim or isinstance(taken, Lease):
            deps.reached(Point.AFTER_CLAIM)
        self._know(request, claim, now)
        if request.id not in self.known:
            self.one(request)
        return taken

    def come_again(self, requests: Iterable[Request], pause: timedelta) -> None:
        """Let messages come again after a pause, without a word in the ledger: most pairs are free by then. Only for
        those that nobody has read before: else a reader that died may have left something, which the ledger must tell.
        """
        now = self._deps.clock()
        for request in requests:
            outcome = unsettled(new_outcome(request, Status.QUEUED), now)
            self.known[request.id] = Claim(ClaimStatus.LEASED, outcome, lease_until=now + pause)

    def accept(self, requests: Sequence[Request], pause: Callable[[Claim], timedelta]) -> None:
        """Let the ledger know of requests that are not run now: their age is fixed then. What could be run at once is
        to come again after a pause."""
        now = self._deps.clock()
        known = [each for each in requests if each.outcome_id]
        new = [each for each in requests if not each.outcome_id]
        try:
            found = list(zip(known, self._deps.ledger.standing(known) if known else [], strict=True))
            found += zip(new, self._deps.ledger.accept_new(new, now), strict=True)
            for request, claim in found:
                self._come_again(request, claim or self._deps.ledger.accept(request, now), pause)
        except LedgerUnavailable as error:
            # Nor can it be asked about the others: each call takes seconds to fail.
            self.ledger_unavailable(requests, error)

    def _come_again(self, request: Request, claim: Claim, pause: Callable[[Claim], timedelta]) -> None:
        now, due = self._deps.clock(), claim.lease_until or claim.outcome.retry_at
        if not claim.outcome.status.final and (due is None or due < now):
            claim = replace(claim, lease_until=now + pause(claim))
        self.known[request.id] = claim

    def ledger_unavailable(self, requests: Iterable[Request], error: LedgerUnavailable) -> None:
        """Note that the ledger could not be asked about requests."""
        now = self._deps.clock()
        for request in requests:
            if request.id not in self.known:
                logger.error("claim failed", outcome_id=request.id, error=str(error))
                outcome = unsettled(new_outcome(request, Status.DEFERRED), now)
                self.known[request.id] = Claim(ClaimStatus.LEDGER_UNAVAILABLE, outcome)

    def enter_own(self, lease: Lease) -> bool:
        """Enter what a dead holder has left of this run's own requests, where they are done by now or not this run's to
        do. Returns whether the ledger could be asked about all."""
        claims = [self.known.get(outcome_id) for outcome_id in lease.wanted.outcome_ids] if lease.died_by else []
        for claim in claims:
            # What has the id of another request may be of another pair.
            if isinstance(claim, Claim) and claim.claim_status is not ClaimStatus.KEY_REUSED:
                if claim.claim_status is ClaimStatus.LEDGER_UNAVAILABLE:
                    return False
                _enter(claim.outcome, lease)
        return True

    def _know(self, request: Request, claim: Claim | None, now: datetime) -> None:
        if claim and claim.claim_status is ClaimStatus.CLAIMED:
            version = self._deps.default_api_version
            self.known[request.id] = ClaimedRequest(claim, request.pair, now, version, request.interactive)
        elif claim:
            self.known[request.id] = claim


def _enter(outcome: Outcome, lease: Lease) -> None:
    """Enter what a dead holder has settled of an outcome, or may have sent."""
    lease.register.enter(outcome, lease.died_by)
    if outcome.attempts or outcome.doubt or not outcome.status.final:
        for sent in possible_sends(outcome, lease.died_by):
            lease.register.send(sent)


def adopt(lease: Lease, deps: Dependencies) -> tuple[list[ClaimedRequest], bool]:
    """The requests that a worker runs besides its own, and whether all that was left is known: else nothing may be
    sent. What the dead holder has settled, or may have sent, is entered into the register."""
    if not lease.orphans and not lease.waiting:
        return [], True
    now = deps.clock()
    lease.waiting = lease.waiting[:MOST_WAITING]
    naming = deps.leases.naming(lease, [outcome_id for outcome_id, _ in lease.waiting])
    try:
        adoption = deps.ledger.adopt(lease, naming, now)
    except LedgerUnavailable as error:
        logger.error("adoption failed", pair=str(lease.wanted.pair), error=str(error))
        return [], not lease.orphans  # those that wait look for themselves
    for outcome in adoption.others:
        _enter(outcome, lease)
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
