"""Waiting for a pair that another worker holds: whoever takes it next runs all that waits for it in one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from enum import Enum

from batch_create.claimed_request import ClaimedRequest
from batch_create.claiming import Claiming
from batch_create.dependencies import Dependencies
from ledger.claim import Claim, ClaimStatus
from ledger.leases import Wanted
from model.errors import LedgerUnavailable
from model.outcomes import Request, Status
from runtime.telemetry import logger

LONGEST = 5.0  # seconds that a run waits in all for pairs that other workers hold
LOOKS = 0.1  # seconds until the first look at such a pair, more or less
# By how much each pause is longer than the last, where a caller waits and where nobody does: 14 looks, or 6.
GROWS_URGENT, GROWS = 1.2, 2.0
# Until a request whose pair is still held is run again: longer with each time, as each costs some writes. Both numbers
# are ours: most pairs are held for less than a second, and a dead worker holds one for minutes.
COMES_AGAIN, LONGEST_PAUSE = timedelta(seconds=2), timedelta(minutes=1)


class WaitStatus(Enum):
    """How a request stands that waits."""

    HELD = "held"  # its pair is held
    FREE = "free"  # its pair can be taken
    ADOPTED = "adopted"  # another worker runs it
    DONE = "done"


Denied = Mapping[Wanted, Sequence[Request]]
Take = Callable[[Denied], Denied]


class Waiting:
    """The requests of a run whose pairs others hold. One that is claimed already is entered with its pair, so that the
    next holder runs it; of the others the ledger knows nothing yet. `take` tries to take pairs, and returns those that
    are still held."""

    def __init__(self, claiming: Claiming, deps: Dependencies, take: Take) -> None:
        self._claiming = claiming
        self._deps = deps
        self._take = take
        self._entered: set[str] = set()

    def wait(self, denied: Denied, seconds: float) -> None:
        """Wait until each has been run, here or by another worker, for so many seconds and LONGEST at most."""
        waited, looks = 0.0, LOOKS
        urgent = any(request.interactive for requests in denied.values() for request in requests)
        longest = min(LONGEST, seconds)
        while denied and waited < longest:
            for wanted, requests in denied.items():
                for each in self._claiming.own(requests):
                    self._enter(wanted, each)
            pause = min(looks * (0.5 + self._deps.jitter()), longest - waited)
            self._deps.sleep(pause)
            waited += pause
            denied = self._look(denied)
            looks *= GROWS_URGENT if urgent else GROWS  # each look costs a call of the ledger
        left = [request for requests in denied.values() for request in requests]
        new = [each for each in left if each.id not in self._claiming.known]
        self._claiming.come_again([each for each in new if each.first_delivery], COMES_AGAIN)
        self._claiming.accept([each for each in new if not each.first_delivery], self._pause)
        for claimed in self._claiming.own(left):
            self._put_back(claimed)

    def has_kept(self, wanted: Wanted, request: ClaimedRequest) -> bool:
        """Whether a claimed request is still this run's, once its pair is: a holder before may have run it."""
        if request.outcome.id not in self._entered:
            return True
        return self.status_of(wanted, request) not in (WaitStatus.ADOPTED, WaitStatus.DONE)

    def _enter(self, wanted: Wanted, request: ClaimedRequest) -> None:
        if request.outcome.id in self._entered:
            return
        self._entered.add(request.outcome.id)
        try:
            self._deps.leases.wait_for(wanted, request.outcome.id, request.fence)
        except LedgerUnavailable as error:
            logger.warning("not entered as waiting", outcome_id=request.outcome.id, error=str(error))

    def _look(self, denied: Denied) -> Denied:
        held: dict[Wanted, Sequence[Request]] = {}
        free: dict[Wanted, Sequence[Request]] = {}
        for wanted, requests in denied.items():
            claimed = self._claiming.own(requests)
            # Of a pair for which nothing is claimed, only trying to take it tells whether it is free.
            status = self.status_of(wanted, claimed[0]) if claimed else WaitStatus.FREE
            if status is WaitStatus.FREE:
                free[wanted] = requests
            elif status is not WaitStatus.DONE:
                held[wanted] = requests
        return {**held, **self._take(free)} if free else held

    def status_of(self, wanted: Wanted, request: ClaimedRequest) -> WaitStatus:
        """How a claimed request stands. Where another worker has settled it, its outcome is known from now on."""
        try:
            outcome, fence, free = self._deps.ledger.waiting(request.outcome.id, wanted, self._deps.clock())
        except LedgerUnavailable as error:
            logger.warning("not looked at", outcome_id=request.outcome.id, error=str(error))
            return WaitStatus.HELD
        if outcome.status is not Status.RUNNING:
            self._claiming.known[outcome.id] = replace(request.answer(), outcome=outcome)
            return WaitStatus.DONE
        if fence != request.fence:
            return WaitStatus.ADOPTED
        return WaitStatus.FREE if free else WaitStatus.HELD

    def _pause(self, claim: Claim) -> timedelta:
        """Longer for what has waited for its pair for longer, and short for what the ledger has only just heard of."""
        if claim.claim_status is ClaimStatus.CLAIMED:
            return COMES_AGAIN
        waited = self._deps.clock() - (claim.outcome.retry_at or claim.outcome.requested_at)
        return min(LONGEST_PAUSE, max(COMES_AGAIN, waited))

    def _put_back(self, claimed: ClaimedRequest) -> None:
        """Let a claimed request whose pair is held for long come again, later with each time."""
        outcome = claimed.outcome
        try:
            self._deps.ledger.requeue(replace(outcome, doubt=claimed.doubt), claimed.fence)
        except LedgerUnavailable as error:
            logger.warning("not put back", outcome_id=outcome.id, error=str(error))
        pause = min(LONGEST_PAUSE, COMES_AGAIN * 2 ** min(outcome.waits or 0, 10))
        answer = replace(claimed.answer(), outcome=replace(outcome, status=Status.QUEUED))
        self._claiming.known[outcome.id] = replace(answer, lease_until=self._deps.clock() + pause)
