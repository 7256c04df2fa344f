"""Reading back: what is true of inputs that HubSpot's answer leaves open, or refuses.

All rules about sending again are here. What came to no clear answer is read back first, and a reading that does not
show it is believed only when it is repeated after a pause: then it is sent again, which harms nobody. But HubSpot's
reads can lag behind its writes, and a call can land late. So no reading within the register's window of a send ends in
a refusal, and none proves what an older number could explain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from batch_create.attribution import Attribution
from batch_create.authorised_call import AuthorisedCalls
from batch_create.call_result import CallResult, Limits
from batch_create.plan import latest
from batch_create.wait_budget import WaitBudget
from ledger.register import Register
from model.contract import LimitKey
from model.errors import HubSpotFailure, Refused, Unavailable, Uncertain
from model.outcomes import Doubt, Result
from model.records import milliseconds

PAUSE = 2.0  # seconds between a first reading that does not show a limit and the one that is believed
CLOCKS = 4.0  # seconds by which two functions' clocks may differ: each is wrong by two at the most
NO_LIMIT = (None, 500_000)  # what HubSpot has been seen to show where no limit is set
SENT_IN_VAIN = 5  # answers of COMPLETE that changed nothing, until the number counts as rejected


class ReadBack:
    """Reads pairs back through `calls`, and writes what that shows into a call's result."""

    def __init__(
        self, calls: AuthorisedCalls, waits: WaitBudget, clock: Callable[[], datetime], register: Register
    ) -> None:
        self._calls = calls
        self._waits = waits
        self._clock = clock
        self._register = register

    def resolve_doubt(self, result: CallResult, doubt: Doubt, why: str) -> None:
        """Read the pair back.

        A number that shows is applied. One that is believed to be absent waits for another send, with its doubt
        cleared. What cannot be read now waits for another reading, and what can never be read stays unconfirmed.
        """
        result.doubt = doubt
        asked = {item.key: item.max_to_object_ids for item in result.call.inputs}
        clocks = CLOCKS if doubt.absent_since else 0  # then another function has looked, by its own clock
        while result.open:
            asked_at = self._clock()  # what a reading shows may be as old as this, however late the answer arrives
            try:
                result.read = self._calls.read(result.call.portal, result.call.address, result.attempts)
            except Refused as failure:
                never = Attribution(Result.UNCONFIRMED, f"{why}, and HubSpot refuses to be read: {failure}")
                result.attributions |= dict.fromkeys(result.open, never)
                result.doubt = None
                return
            except HubSpotFailure as failure:
                result.deferral = failure.restated(Uncertain, f"{why}, and reading back failed: {failure}")
                break
            for key in result.open:
                if self._proves(result.read, key, asked[key], asked_at):
                    result.attributions[key] = confirmed(result.doubt)
            if not result.open:
                break
            pause = PAUSE + clocks - _seconds(asked_at, since=result.doubt.absent_since or asked_at)
            absent_since = result.doubt.absent_since or self._clock()
            result.doubt = replace(result.doubt, absent_since=absent_since, cleared=pause <= 0)
            if pause <= 0:
                result.deferral = Uncertain(f"{why}; it is not there and is sent again")
                self._believe_absence(result, result.doubt, asked_at)
                break
            if not self._waits.wait(pause):
                result.deferral = Uncertain(
                    f"{why}; it is not there yet, which is looked at again", retry_after=pause + CLOCKS - clocks
                )
                break
        for key in result.open:
            result.attributions.pop(key, None)
        if not result.open:
            result.doubt = result.deferral = None

    def verify_refusals(self, result: CallResult) -> None:
        """Read back what was refused because it exists, or refused after an earlier send in doubt.

        If the number asked for shows, the first is unchanged, and the second was applied by that send. If another
        number shows after a send in doubt, nobody knows whether it was set before that send or since.
        """
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
            read = self._calls.read(result.call.portal, result.call.address, result.attempts)
        except Refused as failure:
            for key in suspect:
                message = refusals[key].message or ""
                # In the same words HubSpot says that it does not know the pair: then nothing is open.
                if not message.startswith(failure.message):
                    never = f"{message} And HubSpot refuses to be read: {failure}"
                    result.attributions[key] = Attribution(Result.UNCONFIRMED, never, refusals[key].correlation_id)
            return
        except HubSpotFailure as failure:
            why = f"HubSpot refused it, perhaps because it is set, and reading back failed: {failure}"
            _leave_open(result, suspect, failure.restated(Uncertain, why))
            return
        for key in suspect:
            doubt = winners[key].doubt
            number = winners[key].item.max_to_object_ids
            sent = doubt if doubt and not doubt.refused else None
            if self._proves(read, key, number, asked_at):
                result.attributions[key] = confirmed(doubt or Doubt(since=self._clock(), refused=True))
            elif sent and (left := self._left(sent, asked_at)) > 0:
                why = "it was refused, perhaps because an earlier call has set it, and reads can lag behind"
                _leave_open(result, [key], Unavailable(why, retry_after=left))
            elif self._may_lag(key, number, read, asked_at):
                why = "it was refused, perhaps because it is set, and reads can lag behind what was set before"
                _leave_open(result, [key], Unavailable(why, retry_after=self._register.lag.total_seconds()))
            elif doubt and not doubt.refused and read.get(key) not in NO_LIMIT:
                result.attributions[key] = replace(refusals[key], instead=read[key])

    def _believe_absence(self, result: CallResult, doubt: Doubt, asked_at: datetime) -> None:
        """HubSpot has answered COMPLETE and the number does not show: HubSpot set another, or sets none."""
        left = self._left(doubt, asked_at)
        for key in result.open:
            echoed = result.attributions[key].echoed if key in result.attributions else None
            if echoed is not None and result.read.get(key) == echoed:
                if left <= 0 or not self._register.is_recent(key, milliseconds(asked_at)):
                    result.attributions[key] = Attribution(Result.REJECTED, f"HubSpot set {echoed} instead", read=True)
            elif doubt.in_vain >= SENT_IN_VAIN and left <= 0:
                message = f"HubSpot answered COMPLETE {doubt.in_vain} times, gave no error, and did not set it"
                result.attributions[key] = Attribution(Result.REJECTED, message, read=True)
        if result.open and doubt.in_vain >= SENT_IN_VAIN and left > 0:
            result.doubt = replace(doubt, cleared=False)
            why = f"HubSpot answered COMPLETE {doubt.in_vain} times, and it is not there: it is read once more"
            result.deferral = Uncertain(why, retry_after=left)

    def _proves(self, read: Limits, key: LimitKey, number: int, asked_at: datetime) -> bool:
        """Whether a reading shows a number, and nothing older could be what it shows."""
        return read.get(key) == number and not self._register.explains(key, number, milliseconds(asked_at))

    def _may_lag(self, key: LimitKey, number: int, read: Limits, asked_at: datetime) -> bool:
        """Whether a reading about a limit that is said to exist may be of before it was last set."""
        last, now = self._register.last.get(key), milliseconds(asked_at)
        if last is None or not self._register.is_recent(key, now):
            return False
        return number in (read.get(key), last.number)

    def _left(self, doubt: Doubt, asked_at: datetime) -> float:
        """Seconds until a reading tells what became of a send."""
        return self._register.window / 1000 - _seconds(asked_at, since=doubt.since)


def confirmed(doubt: Doubt | None) -> Attribution:
    """What a reading proves that shows the number asked for. After a send without a clear answer, most likely that send
    has set it. After a refusal because it exists, it was set before."""
    if doubt and doubt.refused:
        return Attribution(Result.UNCHANGED)
    return Attribution(Result.APPLIED, "proved by reading back", read=True)


def proven(attribution: Attribution) -> Attribution:
    """What an attribution proves. A refusal after a send in doubt proves nothing where another number shows."""
    if attribution.result is not Result.REJECTED or attribution.instead is None:
        return attribution
    message = (
        f"{attribution.message or 'HubSpot refuses it.'} An earlier call came to no clear answer, and"
        f" {attribution.instead} is there: whether that call had set this one in between cannot be known"
    )
    return Attribution(Result.UNCONFIRMED, message, attribution.correlation_id)


def _leave_open(result: CallResult, keys: list[LimitKey], failure: HubSpotFailure) -> None:
    """Let refused inputs wait for another run, which reads before it sends."""
    for key in keys:
        del result.attributions[key]
    result.deferral = result.deferral or failure
    earlier = [winner.doubt for winner in result.call.winners if winner.item.key in keys]
    doubt = latest([result.doubt, *earlier]) or Doubt(since=result.attempts[0].at, refused=True)
    result.doubt = replace(doubt, absent_since=None, cleared=False)


def _seconds(moment: datetime, *, since: datetime) -> float:
    return (moment - since).total_seconds()
