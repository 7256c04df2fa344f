"""One planned call to HubSpot: send, attribute, prove, and try again or defer; halve what is refused as a whole."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from datetime import UTC, datetime

from batch_create.attribution import attribute, refused
from batch_create.authorised_call import AuthorisedCalls, response_of
from batch_create.call_result import Batch, CallResult
from batch_create.dependencies import Dependencies
from batch_create.plan import Call
from batch_create.read_back import ReadBack
from batch_create.wait_budget import WaitBudget
from hubspot_api.retry_policy import not_before
from ledger.register import Register
from model.errors import HubSpotFailure, Misconfigured, Refused, Uncertain
from model.hubspot_answer import AnswerStatus
from model.outcomes import Doubt, Verdict
from runtime.telemetry import logger

SENDS = 3  # of the same inputs within one run


class Sender:
    """Makes the planned calls of one pair until `deadline`."""

    def __init__(self, deps: Dependencies, deadline: datetime, calls: AuthorisedCalls, register: Register) -> None:
        self._deps = deps
        self._waits = WaitBudget(deps, deadline)
        self._read_back = ReadBack(calls, self._waits, deps.clock, register)
        self.calls = calls

    def send(self, call: Call) -> Iterator[CallResult]:
        """Send a call and prove what it did. A batch that is refused for a bad input is halved until each bad input
        stands alone: for k bad inputs of n in at most 2·k·log2(n)+1 calls."""
        last = yield from self._send_until_decided(call)
        if last.refusal:
            yield from self._halved(last.call, may_probe=True)

    def now(self) -> datetime:
        """The time in UTC."""
        return self._deps.clock()

    def read_back(self, call: Call) -> CallResult:
        """Read a pair whose earlier sends are in doubt, before anything is sent. The result shows which of the call's
        limits are set; its doubt is cleared if the others may be sent again."""
        result = CallResult(call)
        doubt = call.doubt or Doubt(since=self._deps.clock())
        self._read_back.resolve_doubt(result, doubt, "an earlier call is in doubt")
        return result

    # ---------------------------------------------------------------------------------------------------- the one loop
    def _send_until_decided(self, call: Call) -> Generator[CallResult, None, CallResult]:
        """Send until every input is decided or must wait for another run. Returns the last result."""
        for sends in range(1, SENDS + 1):
            result = CallResult(call)
            self._send_once(result)
            failure = result.deferral
            cleared = result.doubt is None or result.doubt.cleared
            if failure is None or sends == SENDS or not cleared or not self._waited_for(failure, sends):
                yield result
                return result
            result.deferral = None
            yield result
            call = call.without(set(result.attributions)).doubted(result.doubt)
        raise AssertionError("the last send has returned")

    def _waited_for(self, failure: HubSpotFailure, tries: int) -> bool:
        now = self._deps.clock()
        again = not_before(failure, tries, now, UTC, self._deps.jitter())
        # What the owner must mend, and what holds for the whole portal, is not over in seconds.
        passing = not failure.portal_wide and not isinstance(failure, Misconfigured)
        return passing and self._waits.wait((again - now).total_seconds())

    # ------------------------------------------------------------------------------------------------------- one send
    def _send_once(self, result: CallResult) -> None:
        """Send a call once, and decide what its answer proves or, where that is not clear, what reading back does."""
        call = result.call
        try:
            answer = self.calls.create(call, result)
        except Refused as refusal:
            result.batch = Batch.REFUSED
            if refusal.http_status == 400 and len(call.winners) > 1:
                result.refusal = refusal.message
                result.response = None  # HubSpot will repeat it for each input that it is about
                return
            result.attributions = dict.fromkeys((item.key for item in call.inputs), refused(refusal))
            self._read_back.verify_refusals(result)
            return
        except Uncertain as failure:
            self._read_back.resolve_doubt(result, self._doubt(call), str(failure))
            return
        except HubSpotFailure as failure:
            result.deferral = failure
            return
        result.batch = Batch.ACCEPTED
        result.errors = len(answer.body.errors)
        result.attributions = attribute(call.inputs, answer.body)
        if answer.body.status is not AnswerStatus.COMPLETE:
            result.attempts[-1] = replace(result.attempts[-1], verdict=Verdict.UNCERTAIN)
            self._read_back.resolve_doubt(result, self._doubt(call), "HubSpot did not answer COMPLETE")
        elif result.open:
            doubt = self._doubt(call, in_vain=1)
            self._read_back.resolve_doubt(result, doubt, "HubSpot answered COMPLETE without confirming it")
        self._read_back.verify_refusals(result)

    def _doubt(self, call: Call, *, in_vain: int = 0) -> Doubt:
        """A doubt since now, and not since the call was sent: it may have been applied at any moment until now."""
        return Doubt(since=self._deps.clock(), in_vain=in_vain + (call.doubt.in_vain if call.doubt else 0))

    # -------------------------------------------------------------------------------------------------------- halving
    def _halved(self, call: Call, *, may_probe: bool) -> Iterator[CallResult]:
        """Find the bad inputs of a batch that is known to have some."""
        first, second = call.halves()
        of_first = yield from self._send_until_decided(first)
        if of_first.batch is Batch.ACCEPTED:
            # So the bad inputs are in the second half, and it need not be sent whole to know that.
            if len(second.winners) > 1:
                yield from self._halved(second, may_probe=may_probe)
            else:
                yield from self._send_until_decided(second)
            return
        of_second = yield from self._send_until_decided(second)
        if may_probe and of_first.batch is of_second.batch is Batch.REFUSED and of_second.refusal:
            may_probe = False
            probe = self._probe(call, of_second.refusal)
            yield probe
            if probe.attributions:
                return
        for last in (of_first, of_second):
            if last.refusal:
                yield from self._halved(last.call, may_probe=may_probe)  # with the doubts that have come since

    def _probe(self, call: Call, why: str) -> CallResult:
        """Both halves were refused. Perhaps HubSpot does not know the pair itself: then it refuses to be read in the
        same words, and all inputs are refused."""
        probe = CallResult(call)
        try:
            self.calls.read(call.portal, call.address, probe.attempts)
        except Refused as refusal:
            if refusal.message == why:
                probe.attributions = dict.fromkeys((item.key for item in call.inputs), refused(refusal))
                probe.response = response_of(refusal)
        except HubSpotFailure as failure:
            # Halving goes on all the same: that costs calls, not truth.
            logger.info("probe failed", error=str(failure))
        return probe
