"""Reading back: what may be believed of inputs that HubSpot's answer leaves open, or refuses.

The rules of what may be sent again are here, and in one place: what came to no clear answer is read back first, and a
reading that does not show it is believed only when it is repeated after a pause.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from batch_create.attribution import Attribution
from batch_create.authorised_call import AuthorisedCalls
from batch_create.call_result import CallResult
from batch_create.plan import latest
from batch_create.wait_budget import WaitBudget
from model.contract import LimitKey
from model.errors import HubSpotFailure, Refused, Unavailable, Uncertain
from model.outcomes import Doubt, Result

PAUSE = 2.0  # seconds between a first reading that does not show a limit and the one that is believed
READ_LAG = 45.0  # seconds; HubSpot's reads have been seen to lag behind its writes by up to about 40
NO_LIMIT = (None, 500_000)  # what HubSpot has been seen to show where no limit is set
SENT_IN_VAIN = 5  # answers of COMPLETE that changed nothing, until HubSpot is taken at what it does


class ReadBack:
    """Reads pairs back through `calls`, and writes into a call's result what that shows."""

    def __init__(self, calls: AuthorisedCalls, waits: WaitBudget, clock: Callable[[], datetime]) -> None:
        self._calls = calls
        self._waits = waits
        self._clock = clock

    def resolve_doubt(self, result: CallResult, doubt: Doubt, why: str) -> None:
        """Read the pair back. What is there is applied; what is believed not to be there waits for another send, with
        its doubt cleared; what cannot be read now waits for another reading; what never can be stays unconfirmed."""
        result.doubt = doubt
        while result.open:
            asked_at = self._clock()  # what a reading shows may be as old as this, however late it is looked at
            try:
                result.seen = self._calls.read(result.call, result)
            except Refused as failure:
                never = Attribution(Result.UNCONFIRMED, f"{why}, and HubSpot refuses to be read: {failure}")
                for key in result.open:
                    result.attributions[key] = never
                result.doubt = None
                return
            except HubSpotFailure as failure:
                result.deferral = _in_doubt(why, failure)
                break
            self._decide_by(result)
            if not result.open:
                break
            pause = PAUSE - _seconds(asked_at, since=result.doubt.absent_since or asked_at)
            absent_since = result.doubt.absent_since or self._clock()
            result.doubt = replace(result.doubt, absent_since=absent_since, cleared=pause <= 0)
            if pause <= 0:
                result.deferral = Uncertain(f"{why}; it is not there and is sent again")
                self._believe_absence(result)
                break
            if not self._waits.wait(pause):
                result.deferral = Uncertain(f"{why}; it is not there yet, which is looked at again", retry_after=pause)
                break
        for key in result.open:
            result.attributions.pop(key, None)
        if not result.open:
            result.doubt = result.deferral = None

    def _decide_by(self, result: CallResult) -> None:
        """Proof: the number asked for is there."""
        asked = {item.key: item.max_to_object_ids for item in result.call.inputs}
        for key in result.open:
            if result.seen.get(key) == asked[key]:
                result.attributions[key] = confirmed(result.doubt)

    def _believe_absence(self, result: CallResult) -> None:
        """HubSpot has answered COMPLETE and the number is not there: it took another, or takes none."""
        for key in result.open:
            echoed = result.attributions[key].echoed if key in result.attributions else None
            if echoed is not None and result.seen.get(key) == echoed:
                result.attributions[key] = Attribution(Result.REJECTED, f"HubSpot set {echoed} instead", read=True)
            elif result.doubt and result.doubt.in_vain >= SENT_IN_VAIN:
                message = f"HubSpot answered COMPLETE {result.doubt.in_vain} times, gave no error, and did not set it"
                result.attributions[key] = Attribution(Result.REJECTED, message, read=True)

    def verify_refusals(self, result: CallResult) -> None:
        """Where a limit was refused because it exists: unchanged if it has the number asked for. Where it was refused
        after an earlier send in doubt: applied if that send has set it after all; else it is told which other
        number is there, which may have been there before that send or have been set since."""
        winners = {winner.item.key: winner for winner in result.call.winners}
        refusals = {
            key: attribution
            for key, attribution in result.attributions.items()
            if attribution.result is Result.REJECTED and not attribution.read
        }
        suspect = [key for key, attribution in refusals.items() if attribution.exists or winners[key].doubt]
        if not suspect:
            return
        asked_at = self._clock()
        try:
            seen = self._calls.read(result.call, result)
        except Refused as failure:
            for key in suspect:
                message = refusals[key].message or ""
                # In the same words it is the pair that HubSpot does not know, and nothing is open.
                if not message.startswith(failure.message):
                    never = f"{message} And HubSpot refuses to be read: {failure}"
                    result.attributions[key] = Attribution(Result.UNCONFIRMED, never, refusals[key].correlation_id)
            return
        except HubSpotFailure as failure:
            self._leave_open(result, suspect, _in_doubt("HubSpot refused it, perhaps because it is set", failure))
            return
        for key in suspect:
            doubt = winners[key].doubt
            if seen.get(key) == winners[key].item.max_to_object_ids:
                result.attributions[key] = confirmed(doubt or Doubt(since=self._clock(), refused=True))
            elif doubt and not doubt.refused and (age := _seconds(asked_at, since=doubt.since)) < READ_LAG:
                why = "it was refused, perhaps because an earlier call has set it, and reads can lag behind"
                self._leave_open(result, [key], Unavailable(why, retry_after=READ_LAG - age))
            elif doubt and not doubt.refused and seen.get(key) not in NO_LIMIT:
                result.attributions[key] = replace(refusals[key], instead=seen[key])

    @staticmethod
    def _leave_open(result: CallResult, keys: list[LimitKey], failure: HubSpotFailure) -> None:
        """Let the refused wait for another run, which reads before it sends."""
        for key in keys:
            del result.attributions[key]
        result.deferral = result.deferral or failure
        earlier = [winner.doubt for winner in result.call.winners if winner.item.key in keys]
        doubt = latest([result.doubt, *earlier]) or Doubt(since=result.attempts[0].at, refused=True)
        result.doubt = replace(doubt, absent_since=None, cleared=False)


def confirmed(doubt: Doubt | None) -> Attribution:
    """What a reading that shows an input's number proves. After a send without a clear answer it is most likely that
    send which set it; after a refusal because it exists, it was there before."""
    return (
        Attribution(Result.UNCHANGED)
        if doubt and doubt.refused
        else Attribution(Result.APPLIED, "proved by reading back", read=True)
    )


def proven(attribution: Attribution) -> Attribution:
    """What an attribution proves: nothing, where an input was refused after a send in doubt and another number is there."""
    if attribution.result is not Result.REJECTED or attribution.instead is None:
        return attribution
    message = (
        f"{attribution.message or 'HubSpot refuses it.'} An earlier call came to no clear answer, and {attribution.instead} is there:"
        " whether that call had set this one in between cannot be known"
    )
    return Attribution(Result.UNCONFIRMED, message, attribution.correlation_id)


def _seconds(moment: datetime, *, since: datetime) -> float:
    return (moment - since).total_seconds()


def _in_doubt(why: str, failure: HubSpotFailure) -> Uncertain:
    """Why something in doubt waits: it could not be read back."""
    return Uncertain(
        f"{why}, and reading back failed: {failure}",
        http_status=failure.http_status,
        retry_after=failure.retry_after,
        daily=failure.daily,
        portal_wide=failure.portal_wide,
    )
