"""Reading back: what may be believed of inputs that HubSpot's answer leaves open, or refuses.

The rules of what may be sent again are here, and in one place: what came to no clear answer is read back first, and a
reading that does not show it is believed only when it is repeated after a pause.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from batch_create.attribution import Fate
from batch_create.contract import LimitKey
from batch_create.decision import Decision
from batch_create.errors import HubSpotFailure, Refused, Unavailable, Uncertain
from batch_create.line import Line
from batch_create.outcomes import Doubt, Result
from batch_create.patience import Patience
from batch_create.plan import latest

PAUSE = 2.0  # seconds between a first reading that does not show a limit and the one that is believed
READ_LAG = 45.0  # seconds; HubSpot's reads have been seen to lag behind its writes by up to about 40
NO_LIMIT = (None, 500_000)  # what HubSpot has been seen to show where no limit is set
SENT_IN_VAIN = 5  # answers of COMPLETE that changed nothing, until HubSpot is taken at what it does


class Proof:
    """Reads pairs back through `line`, and writes into a call's decision what that shows."""

    def __init__(self, line: Line, patience: Patience, clock: Callable[[], datetime]) -> None:
        self._line = line
        self._patience = patience
        self._clock = clock

    def clear_up(self, decision: Decision, doubt: Doubt, why: str) -> None:
        """Read the pair back. What is there is applied; what is believed not to be there waits for another send, with
        its doubt cleared; what cannot be read now waits for another reading; what never can be stays unconfirmed."""
        decision.doubt = doubt
        while decision.open:
            asked_at = self._clock()  # what a reading shows may be as old as this, however late it is looked at
            try:
                decision.seen = self._line.read(decision.call, decision)
            except Refused as failure:
                never = Fate(Result.UNCONFIRMED, f"{why}, and HubSpot refuses to be read: {failure}")
                for key in decision.open:
                    decision.fates[key] = never
                decision.doubt = None
                return
            except HubSpotFailure as failure:
                decision.deferral = _in_doubt(why, failure)
                break
            self._decide_by(decision)
            if not decision.open:
                break
            waits = PAUSE - _seconds(asked_at, since=decision.doubt.absent_since or asked_at)
            absent_since = decision.doubt.absent_since or self._clock()
            decision.doubt = decision.doubt.model_copy(update={"absent_since": absent_since, "cleared": waits <= 0})
            if waits <= 0:
                decision.deferral = Uncertain(f"{why}; it is not there and is sent again")
                self._believe_absence(decision)
                break
            if not self._patience.wait(waits):
                decision.deferral = Uncertain(
                    f"{why}; it is not there yet, which is looked at again", retry_after=waits
                )
                break
        for key in decision.open:
            decision.fates.pop(key, None)
        if not decision.open:
            decision.doubt = decision.deferral = None

    def _decide_by(self, decision: Decision) -> None:
        """Proof: the number asked for is there."""
        asked = {item.key: item.max_to_object_ids for item in decision.call.inputs}
        for key in decision.open:
            if decision.seen.get(key) == asked[key]:
                decision.fates[key] = there(decision.doubt)

    def _believe_absence(self, decision: Decision) -> None:
        """HubSpot has answered COMPLETE and the number is not there: it took another, or takes none."""
        for key in decision.open:
            echoed = decision.fates[key].echoed if key in decision.fates else None
            if echoed is not None and decision.seen.get(key) == echoed:
                decision.fates[key] = Fate(Result.REJECTED, f"HubSpot set {echoed} instead", read=True)
            elif decision.doubt and decision.doubt.in_vain >= SENT_IN_VAIN:
                message = f"HubSpot answered COMPLETE {decision.doubt.in_vain} times, gave no error, and did not set it"
                decision.fates[key] = Fate(Result.REJECTED, message, read=True)

    def look_behind_refusals(self, decision: Decision) -> None:
        """Where a limit was refused because it exists: unchanged if it has the number asked for. Where it was refused
        after an earlier send in doubt: applied if that send has set it after all; else it is told which other
        number is there, which may have been there before that send or have been set since."""
        winners = {winner.item.key: winner for winner in decision.call.winners}
        refusals = {
            key: fate for key, fate in decision.fates.items() if fate.result is Result.REJECTED and not fate.read
        }
        suspect = [key for key, fate in refusals.items() if fate.exists or winners[key].doubt]
        if not suspect:
            return
        asked_at = self._clock()
        try:
            seen = self._line.read(decision.call, decision)
        except Refused as failure:
            for key in suspect:
                message = refusals[key].message or ""
                # In the same words it is the pair that HubSpot does not know, and nothing is open.
                if not message.startswith(failure.message):
                    never = f"{message} And HubSpot refuses to be read: {failure}"
                    decision.fates[key] = Fate(Result.UNCONFIRMED, never, refusals[key].correlation_id)
            return
        except HubSpotFailure as failure:
            self._leave_open(decision, suspect, _in_doubt("HubSpot refused it, perhaps because it is set", failure))
            return
        for key in suspect:
            doubt = winners[key].doubt
            if seen.get(key) == winners[key].item.max_to_object_ids:
                decision.fates[key] = there(doubt or Doubt(since=self._clock(), refused=True))
            elif doubt and not doubt.refused and (age := _seconds(asked_at, since=doubt.since)) < READ_LAG:
                why = "it was refused, perhaps because an earlier call has set it, and reads can lag behind"
                self._leave_open(decision, [key], Unavailable(why, retry_after=READ_LAG - age))
            elif doubt and not doubt.refused and seen.get(key) not in NO_LIMIT:
                decision.fates[key] = replace(refusals[key], instead=seen[key])

    @staticmethod
    def _leave_open(decision: Decision, keys: list[LimitKey], failure: HubSpotFailure) -> None:
        """Let the refused wait for another run, which reads before it sends."""
        for key in keys:
            del decision.fates[key]
        decision.deferral = decision.deferral or failure
        earlier = [winner.doubt for winner in decision.call.winners if winner.item.key in keys]
        doubt = latest([decision.doubt, *earlier]) or Doubt(since=decision.attempts[0].at, refused=True)
        decision.doubt = doubt.model_copy(update={"absent_since": None, "cleared": False})


def there(doubt: Doubt | None) -> Fate:
    """The fate of an input whose number a reading shows. After a send without a clear answer it is most likely that
    send which set it; after a refusal because it exists, it was there before."""
    return Fate(Result.UNCHANGED) if doubt and doubt.refused else Fate(Result.APPLIED, "proved by reading back")


def provable(fate: Fate) -> Fate:
    """What a fate proves: nothing, where an input was refused after a send in doubt and another number is there."""
    if fate.result is not Result.REJECTED or fate.instead is None:
        return fate
    message = (
        f"{fate.message or 'HubSpot refuses it.'} An earlier call came to no clear answer, and {fate.instead} is there:"
        " whether that call had set this one in between cannot be known"
    )
    return Fate(Result.UNCONFIRMED, message, fate.correlation_id)


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
