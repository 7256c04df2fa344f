"""A request that this worker holds, on its way from claimed to settled."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from batch_create.answers import merged
from batch_create.attribution import Fate
from batch_create.calls import Decision
from batch_create.contract import LimitKey
from batch_create.errors import HubSpotFailure, Misconfigured, Uncertain
from batch_create.hubspot import Pair
from batch_create.ledger import Claim
from batch_create.outcomes import HubSpotSaid, InputOutcome, Outcome, Result, Status, Verdict, conclude
from batch_create.plan import Demand

FIRST_DELAY = 2.0  # seconds before the second run, doubled for each further one
LONGEST_DELAY = 900.0  # seconds; SQS delays a message by at most 15 minutes


class Held:
    """What is known so far of one claimed request. None of it is true for others until it is settled."""

    def __init__(self, claim: Claim, default_api_version: str, interactive: bool) -> None:
        outcome = claim.outcome
        self.outcome = outcome
        self.fence = claim.fence
        self.settled = False
        self._interactive = interactive
        self._deferral: HubSpotFailure | None = None
        # Where an earlier run decided some inputs already, its answer is part of the whole answer.
        begun = any(item.result is not Result.PENDING for item in outcome.inputs)
        self._said: list[HubSpotSaid] = [outcome.hubspot] if outcome.hubspot and begun else []
        self._pair = Pair(
            outcome.api_version or default_api_version,
            outcome.from_object_type or "",
            outcome.to_object_type or "",
        )
        # A holder that died, or a call without a clear answer: the limits may be there already.
        self.in_doubt = claim.abandoned or any(one.verdict is Verdict.UNCERTAIN for one in outcome.attempts)

    @property
    def open(self) -> bool:
        """Whether inputs wait for a call that can still be made in this run."""
        return self._deferral is None and bool(self.outcome.open_inputs)

    def demands(self) -> Iterator[Demand]:
        """The open inputs, unless something has shown that they must wait."""
        if self.open:
            for item in self.outcome.open_inputs:
                yield Demand(self.outcome.id, self.outcome.requested_at, self.outcome.portal, self._pair, item.asked)

    def decide(self, key: LimitKey, fate: Fate) -> None:
        """Write down what became of an input."""
        self._update(key, result=fate.result, message=fate.message, correlation_id=fate.correlation_id)

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

    def note(self, decision: Decision) -> None:
        """Keep what was tried and what HubSpot said."""
        self.outcome = self.outcome.model_copy(update={"attempts": (*self.outcome.attempts, *decision.attempts)})
        if decision.said:
            self._said.append(decision.said)

    def conclude(self, now: datetime, jitter: float) -> Outcome:
        """The outcome to settle: final, or DEFERRED with the time and the reason."""
        status = conclude(self.outcome.inputs)
        told: dict[str, Any] = {"status": status, "hubspot": merged(self._said) or self.outcome.hubspot}
        if status is not Status.DEFERRED:
            told["finished_at"] = now
        elif self._interactive and isinstance(self._deferral, Misconfigured):
            # Whoever waits for the answer is told that it failed; it must not take effect behind their back later.
            told |= {"status": Status.FAILED, "finished_at": now, "reason": str(self._deferral)}
        else:
            told |= {"retry_at": now + self._delay(jitter), "reason": str(self._deferral)}
        self.outcome = self.outcome.model_copy(update=told)
        return self.outcome

    def _delay(self, jitter: float) -> timedelta:
        ceiling = min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(self.fence - 1, 20))
        # Half of it is random, so that requests deferred together do not come back together. It grows under HubSpot's
        # own times to wait too: each return costs a receive, and a message has only so many.
        growing = ceiling * (1 + jitter) / 2
        asked = self._deferral.retry_after if self._deferral else None
        return timedelta(seconds=max(growing, asked or 0))

    def _update(self, key: LimitKey, **told: Any) -> None:
        def updated(item: InputOutcome) -> InputOutcome:
            concerned = item.key == key and item.result is Result.PENDING
            return item.model_copy(update=told) if concerned else item

        self.outcome = self.outcome.model_copy(update={"inputs": tuple(updated(item) for item in self.outcome.inputs)})
