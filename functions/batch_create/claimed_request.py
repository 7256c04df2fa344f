"""A request that this worker has claimed, on its way to being settled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from typing import Any

from batch_create.attribution import Attribution
from batch_create.call_result import CallResult
from batch_create.plan import Call, Demand
from hubspot_api.merged_answer import decides, merged
from hubspot_api.retry_policy import not_before
from ledger.claim import Claim
from model.contract import LimitKey
from model.errors import HubSpotFailure, Misconfigured, PortalEnded, QuotaExhausted, Unavailable, Uncertain
from model.outcomes import (
    CARRIED,
    UNREAD,
    Attempt,
    Doubt,
    HubSpotResponse,
    Outcome,
    Result,
    Status,
    Trigger,
    conclude,
    unproven,
)
from model.pair import Address, Pair

HOUR = timedelta(hours=1)


class ClaimedRequest:
    """What is known so far about one claimed request. Others see none of it until it is settled. `outcome` is the
    claimed one until `conclude`."""

    def __init__(
        self, claim: Claim, pair: Pair | None, now: datetime, default_api_version: str, interactive: bool
    ) -> None:
        outcome = claim.outcome
        version = outcome.api_version or default_api_version
        self.outcome = outcome
        self.fence = claim.fence
        self._claim = claim
        self.abandoned = claim.abandoned
        self.doubt = outcome.doubt
        if claim.abandoned:
            # The last holder died, and may have sent everything at any moment until now.
            self.doubt = Doubt(since=now, in_vain=outcome.doubt.in_vain if outcome.doubt else 0)
        self.settled = False
        self.interactive = interactive
        self._pair = pair  # None while nobody knows the types: then nothing is demanded
        self._address = Address(version, outcome.from_object_type or "", outcome.to_object_type or "")
        # By limit: an outcome can have 500 inputs, and a run many such outcomes.
        self._inputs = {item.key: item for item in outcome.inputs}
        self._open = {item.key: item.asked for item in outcome.open_inputs}
        self._attempts: list[Attempt] = []
        self._deferral: HubSpotFailure | None = None
        # If an earlier run has decided some inputs, its answer is part of the whole answer.
        earlier = outcome.hubspot if len(self._open) < len(self._inputs) else None
        self._responses: list[HubSpotResponse] = [earlier] if earlier else []
        self._verbatim = True
        # Inputs that no answer of HubSpot's is about, such as those superseded in an earlier run.
        self._unanswered = set(self._open if earlier and earlier.verbatim else self._inputs)

    @property
    def in_doubt(self) -> bool:
        """Whether an earlier send must be read back before anything is sent."""
        return self.doubt is not None and not self.doubt.cleared

    @property
    def decided(self) -> bool:
        """Whether every input is decided."""
        return not self._open

    @property
    def misconfigured(self) -> bool:
        """Whether this request waits for the portal's owner."""
        return isinstance(self._deferral, Misconfigured)

    def answer(self) -> Claim:
        """Its claim, with its outcome as it is by now."""
        return replace(self._claim, outcome=self.outcome, lease_until=None)

    def demands(self) -> Iterator[Demand]:
        """The open inputs, unless they must wait for another run."""
        if self._deferral is None and self._pair:
            outcome, age = self.outcome, self.outcome.age
            for item in self._open.values():
                yield Demand(outcome.id, age, outcome.portal, self._pair, self._address, item, self.doubt)

    def reject(self, message: str) -> None:
        """Note that no input of it can ever be set."""
        for key in list(self._open):
            self.decide(key, Attribution(Result.REJECTED, message))

    def decide(self, key: LimitKey, attribution: Attribution) -> None:
        """Note what became of an input. If reading back has proved it, HubSpot's answer does not say so."""
        self._verbatim &= not attribution.read
        self._end(
            key, result=attribution.result, message=attribution.message, correlation_id=attribution.correlation_id
        )

    def supersede(self, key: LimitKey, by: str) -> None:
        """Note that a younger request has set an input's limit."""
        self._verbatim = False
        self._end(key, result=Result.SUPERSEDED, superseded_by=by)

    def note_previous(self, key: LimitKey, number: int) -> None:
        """Note which number a limit had before."""
        if key in self._open:
            self._inputs[key] = replace(self._inputs[key], previous=number)

    def defer(self, failure: HubSpotFailure) -> None:
        """Let the request wait for another run. A doubt outweighs every other reason: what may have been applied must
        be read back, whatever else has failed since. Only the end of its portal outweighs that."""
        if isinstance(failure, PortalEnded) or not isinstance(self._deferral, (Uncertain, PortalEnded)):
            self._deferral = failure

    def doubt_send(self, doubt: Doubt, *, looked_up: bool) -> None:
        """Note that something was sent without a clear answer, or, if `looked_up`, what reading back has shown."""
        if self.in_doubt and self.doubt and not looked_up:
            # The doubt may be about another call of the request: what is known of one does not clear the other.
            since, in_vain = max(self.doubt.since, doubt.since), max(self.doubt.in_vain, doubt.in_vain)
            doubt = Doubt(since=since, in_vain=in_vain)
        self.doubt = doubt

    def record(self, result: CallResult) -> None:
        """Keep a call's attempts and HubSpot's answer."""
        self._attempts += result.attempts
        if result.response:
            self._responses.append(result.response)
            if decides(result.response):
                self._verbatim &= result.conclusive and self._is_alone_in(result.call)
                self._unanswered.difference_update(item.key for item in result.call.inputs)

    def conclude(self, now: datetime, zone: tzinfo | None, jitter: float, give_up_after: timedelta) -> Outcome:
        """The outcome to settle: final, or DEFERRED with the time and the reason. FAILED where it was accepted so long
        ago."""
        inputs = tuple(self._inputs[item.key] for item in self.outcome.inputs)
        answer = merged(self._responses)
        known: dict[str, Any] = {
            "status": conclude(inputs),
            "inputs": inputs,
            "attempts": (*self.outcome.attempts, *self._attempts),
            "doubt": self.doubt,
            "hubspot": self.outcome.hubspot,
        }
        if answer:
            verbatim = self._verbatim and self._unanswered <= self._open.keys() and decides(answer)
            known["hubspot"] = replace(answer, verbatim=verbatim)
        waits = self._deferral or Unavailable("the run ended before its inputs were decided")
        if self.decided:
            known |= {"finished_at": now, "doubt": None}
        elif given_up := self._given_up(waits, now, give_up_after):
            known |= {"status": Status.FAILED, "finished_at": now, "reason": given_up, "doubt": None}
            if self.doubt:  # cleared or not: what reads have not shown for a while may be there all the same
                known["inputs"] = unproven(inputs, UNREAD)
        elif self.interactive and isinstance(waits, Misconfigured) and not self.doubt:
            # The caller waits for the answer and gets the failure: the request must not take effect later, unseen.
            known |= {"status": Status.FAILED, "finished_at": now, "reason": str(waits)}
        else:
            before = self.outcome.waits or 0
            retry_at = not_before(waits, self.fence - before, now, zone, jitter)
            known |= {"retry_at": retry_at, "reason": str(waits), "parked": retry_at - now > CARRIED or None}
            if isinstance(waits, QuotaExhausted):
                known["waits"] = before + 1
        self.outcome = replace(self.outcome, **known)
        return self.outcome

    def _given_up(self, waits: HubSpotFailure, now: datetime, give_up_after: timedelta) -> str | None:
        """Why it does not wait any longer, if it does not."""
        if isinstance(waits, PortalEnded):
            return str(waits)
        outcome = self.outcome
        # By HTTP the ledger hears of it when it is asked for. A message can have waited for long before.
        heard = outcome.requested_at if outcome.trigger is Trigger.WEBHOOK else outcome.started_at
        accepted = heard or outcome.requested_at
        if now - accepted < give_up_after:
            return None
        return f"given up after {give_up_after / HOUR:g} hours: {waits}"

    def _is_alone_in(self, call: Call) -> bool:
        """Whether a call carried nothing but this request's limits, so that its answer is about nothing else."""
        if len(call.winners) > len(self._inputs):
            return False
        return all(item.key in self._inputs and self._inputs[item.key].asked == item for item in call.inputs)

    def _end(self, key: LimitKey, **known: Any) -> None:
        if self._open.pop(key, None):
            self._inputs[key] = replace(self._inputs[key], **known)
