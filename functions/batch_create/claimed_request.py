"""A request that this worker holds, on its way from claimed to settled."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from typing import Any

from batch_create.attribution import Attribution
from batch_create.call_result import CallResult
from batch_create.merged_answer import merged
from batch_create.plan import Demand
from hubspot_api.retry_policy import not_before
from ledger.claim import Claim
from model.contract import LimitKey
from model.errors import HubSpotFailure, Misconfigured, Unavailable, Uncertain
from model.outcomes import Doubt, HubSpotResponse, InputOutcome, Outcome, Result, Status, conclude
from model.pair import Pair

# Between a request's own time and its first run. SQS may deliver in another order at any time; within so few seconds
# nobody can tell which of two requests was meant to be the last.
LATE = timedelta(seconds=30)


class ClaimedRequest:
    """What is known so far of one claimed request. None of it is true for others until it is settled."""

    def __init__(self, claim: Claim, now: datetime, default_api_version: str, interactive: bool) -> None:
        outcome = claim.outcome
        if claim.abandoned:
            # A holder died, and may have sent everything at any moment until now.
            in_vain = outcome.doubt.in_vain if outcome.doubt else 0
            outcome = outcome.model_copy(update={"doubt": Doubt(since=now, in_vain=in_vain)})
        self.outcome = outcome
        self.fence = claim.fence
        self.settled = False
        self._claimed_at = now
        self.interactive = interactive
        self._deferral: HubSpotFailure | None = None
        # Where an earlier run decided some inputs already, its answer is part of the whole answer.
        begun = any(item.result is not Result.PENDING for item in outcome.inputs)
        self._said: list[HubSpotResponse] = [outcome.hubspot] if outcome.hubspot and begun else []
        self.pair = Pair(
            outcome.api_version or default_api_version,
            outcome.from_object_type or "",
            outcome.to_object_type or "",
        )

    @property
    def in_doubt(self) -> bool:
        """Whether an earlier send must be looked up before anything is sent."""
        return self.outcome.doubt is not None and not self.outcome.doubt.cleared

    @property
    def late(self) -> bool:
        """Whether this request has waited, so that younger requests may have find_superseded it."""
        return self.fence > 1 or self._claimed_at - self.outcome.requested_at > LATE

    def demands(self) -> Iterator[Demand]:
        """The open inputs, unless something has shown that they must wait for another run."""
        if self._deferral is None:
            outcome = self.outcome
            for item in outcome.open_inputs:
                yield Demand(outcome.id, outcome.requested_at, outcome.portal, self.pair, item.asked, outcome.doubt)

    def decide(self, key: LimitKey, attribution: Attribution) -> None:
        """Write down what became of an input."""
        self._update(
            key, result=attribution.result, message=attribution.message, correlation_id=attribution.correlation_id
        )

    def supersede(self, key: LimitKey, by: str) -> None:
        """Write down that a later request for the same limit has been applied."""
        self._update(key, result=Result.SUPERSEDED, superseded_by=by)

    def was(self, key: LimitKey, number: int) -> None:
        """Write down the number that a read has shown before ours is sent."""
        self._update(key, previous=number)

    def defer(self, failure: HubSpotFailure) -> None:
        """Nothing more can be done for this request in this run. A doubt outweighs every other reason: what may have
        been applied must be looked up, whatever else has failed since."""
        if not isinstance(self._deferral, Uncertain):
            self._deferral = failure

    def doubt(self, doubt: Doubt, *, looked_up: bool) -> None:
        """Write down that something was sent without a clear answer, or what looking it up has shown of all of it."""
        earlier = self.outcome.doubt
        if earlier and not earlier.cleared and not looked_up:
            # Of a request's other call: what is known of one does not clear the other.
            since, in_vain = max(earlier.since, doubt.since), max(earlier.in_vain, doubt.in_vain)
            doubt = Doubt(since=since, in_vain=in_vain)
        self.outcome = self.outcome.model_copy(update={"doubt": doubt})

    def note(self, call_result: CallResult) -> None:
        """Keep what was tried and what HubSpot said."""
        self.outcome = self.outcome.model_copy(update={"attempts": (*self.outcome.attempts, *call_result.attempts)})
        if call_result.said:
            self._said.append(call_result.said)

    def conclude(self, now: datetime, zone: tzinfo, jitter: float) -> Outcome:
        """The outcome to settle: final, or DEFERRED with the time and the reason."""
        status = conclude(self.outcome.inputs)
        told: dict[str, Any] = {"status": status, "hubspot": merged(self._said) or self.outcome.hubspot}
        waits = self._deferral or Unavailable("the run ended before its inputs were decided")
        if status is not Status.DEFERRED:
            told |= {"finished_at": now, "doubt": None}
        elif self.interactive and isinstance(waits, Misconfigured) and not self.outcome.doubt:
            # Whoever waits for the answer is told that it failed; it must not take effect behind their back later.
            told |= {"status": Status.FAILED, "finished_at": now, "reason": str(waits)}
        else:
            told |= {"retry_at": not_before(waits, self.fence, now, zone, jitter), "reason": str(waits)}
        self.outcome = self.outcome.model_copy(update=told)
        return self.outcome

    @property
    def misconfigured(self) -> bool:
        """Whether this request waits for the portal's owner."""
        return isinstance(self._deferral, Misconfigured)

    def _update(self, key: LimitKey, **told: Any) -> None:
        def updated(item: InputOutcome) -> InputOutcome:
            affected_demands = item.key == key and item.result is Result.PENDING
            return item.model_copy(update=told) if affected_demands else item

        self.outcome = self.outcome.model_copy(update={"inputs": tuple(updated(item) for item in self.outcome.inputs)})
