"""One planned call to HubSpot and its proof: send, attribute, read back what is open, and try again or defer.

The rules of what may be sent again are here, and in one place: what came to no clear answer is read back first, and a
reading that does not show it is believed only when it is repeated after a pause.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum

from batch_create.attribution import Fate, attribute, refused
from batch_create.contract import AnswerStatus, LimitKey
from batch_create.errors import HubSpotFailure, Misconfigured, Refused, Unavailable, Uncertain
from batch_create.line import Limits, Line, said
from batch_create.outcomes import Attempt, Doubt, HubSpotSaid, Result, Verdict
from batch_create.plan import Call, latest
from batch_create.ports import Ports
from batch_create.retry import not_before
from batch_create.telemetry import logger

PAUSE = 2.0  # seconds between a first reading that does not show a limit and the one that is believed
READ_LAG = 45.0  # seconds; HubSpot's reads have been seen to lag behind its writes by up to about 40
SENDS = 3  # of the same inputs within one run
LONGEST_WAIT = 5.0  # seconds that one run waits in all; longer waits cost less in the queue than in a function
CALL_SECONDS = 4.0  # left after a wait, or it was for nothing
SENT_IN_VAIN = 5  # answers of COMPLETE that changed nothing, until HubSpot is taken at what it does


class Batch(Enum):
    """What HubSpot made of a batch as a whole."""

    ACCEPTED = "accepted"  # each input has an answer, or waits
    REFUSED = "refused"
    OPEN = "open"


@dataclass
class Decision:
    """What a call came to: the fate of each input it decided and, for the others, why they must wait.

    With neither, it decided nothing by itself: its inputs follow in the decisions of other calls. `doubt` is about
    those that were sent and have no fate.
    """

    call: Call
    fates: dict[LimitKey, Fate] = field(default_factory=dict)
    deferral: HubSpotFailure | None = None
    doubt: Doubt | None = None
    said: HubSpotSaid | None = None
    attempts: list[Attempt] = field(default_factory=list)
    batch: Batch = Batch.OPEN
    refusal: str = ""  # why the batch was refused as a whole
    seen: Limits = field(default_factory=dict)

    @property
    def refused_whole(self) -> bool:
        """Whether HubSpot refused several inputs together, and did not say which."""
        return bool(self.refusal)

    @property
    def open(self) -> list[LimitKey]:
        """The inputs without a fate that can be believed."""
        keys = (item.key for item in self.call.inputs)
        return [k for k in keys if k not in self.fates or self.fates[k].result is Result.UNCONFIRMED]


class Caller:
    """Makes planned calls until `deadline`."""

    def __init__(self, ports: Ports, deadline: datetime) -> None:
        self._ports = ports
        self._deadline = deadline
        self._line = Line(ports, deadline)
        self._patience = LONGEST_WAIT

    def make(self, call: Call) -> Iterator[Decision]:
        """Send a call and prove what it did. A batch refused for one bad input is halved until that stands alone: for
        k bad of n in at most 2·k·log2(n)+1 calls."""
        last = yield from self._settled(call)
        if last.refused_whole:
            yield from self._halved(last.call, may_probe=True)

    def look_up(self, call: Call) -> Decision:
        """Read a pair whose earlier sends are in doubt, before anything is sent: which of the call's limits are there,
        and whether the others may be sent again (then the decision's doubt is cleared)."""
        decision = Decision(call)
        self._clear_up(decision, call.doubt or Doubt(since=self._ports.clock()), "an earlier call is in doubt")
        return decision

    # ---------------------------------------------------------------------------------------------------- the one loop
    def _settled(self, call: Call) -> Generator[Decision, None, Decision]:
        """Send until every input is decided or must wait for another run; returns the last decision."""
        for sends in range(1, SENDS + 1):
            decision = Decision(call)
            self._send(decision)
            failure = decision.deferral
            cleared = decision.doubt is None or decision.doubt.cleared
            if failure is None or sends == SENDS or not cleared or not self._waited_for(failure, sends):
                yield decision
                return decision
            decision.deferral = None
            yield decision
            call = call.without(set(decision.fates)).doubted(decision.doubt)
        raise AssertionError("the last send has returned")

    def _waited_for(self, failure: HubSpotFailure, tries: int) -> bool:
        now = self._ports.clock()
        again = not_before(failure, tries, now, UTC, self._ports.jitter())
        # What its owner must mend is not mended in seconds, and what holds for the portal not over in so few.
        passing = not failure.portal_wide and not isinstance(failure, Misconfigured)
        return passing and self._waited((again - now).total_seconds())

    def _waited(self, seconds: float) -> bool:
        """Wait, if the run's patience and its remaining time allow it."""
        left = (self._deadline - self._ports.clock()).total_seconds() - CALL_SECONDS
        if seconds > min(self._patience, left):
            return False
        self._patience -= seconds
        self._ports.sleep(seconds)
        return True

    # ------------------------------------------------------------------------------------------------------- one send
    def _send(self, decision: Decision) -> None:
        """Send a call once, and decide what its answer and, where that is not clear, reading back allow to decide."""
        call = decision.call
        sent_at = self._ports.clock()
        try:
            answer = self._line.create(call, decision)
        except Refused as refusal:
            if refusal.http_status == 400 and len(call.winners) > 1:
                decision.said = None  # said again, of each input that it is about
                decision.batch, decision.refusal = Batch.REFUSED, refusal.message
                return
            decision.fates = dict.fromkeys((item.key for item in call.inputs), refused(refusal))
            decision.batch = Batch.REFUSED
            self._look_behind_refusals(decision)
            return
        except Uncertain as failure:
            self._clear_up(decision, Doubt(since=sent_at, in_vain=_in_vain(call)), str(failure))
            return
        except HubSpotFailure as failure:
            decision.deferral = failure
            return
        decision.batch = Batch.ACCEPTED
        decision.fates = attribute(call.inputs, answer.body)
        if answer.body.status is not AnswerStatus.COMPLETE:
            decision.attempts[-1] = decision.attempts[-1].model_copy(update={"verdict": Verdict.UNCERTAIN})
            self._clear_up(decision, Doubt(since=sent_at, in_vain=_in_vain(call)), "HubSpot did not answer COMPLETE")
        elif decision.open:
            doubt = Doubt(since=sent_at, in_vain=_in_vain(call) + 1)
            self._clear_up(decision, doubt, "HubSpot answered COMPLETE without confirming it")
        self._look_behind_refusals(decision)

    # --------------------------------------------------------------------------------------------------- reading back
    def _clear_up(self, decision: Decision, doubt: Doubt, why: str) -> None:
        """Read the pair back. What is there is applied; what is believed not to be there waits for another send, with
        its doubt cleared; what cannot be read now waits for another reading; what never can be stays unconfirmed."""
        decision.doubt = doubt
        while decision.open:
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
            now = self._ports.clock()
            absent_since = decision.doubt.absent_since or now
            waits = PAUSE - (now - absent_since).total_seconds()
            decision.doubt = decision.doubt.model_copy(update={"absent_since": absent_since, "cleared": waits <= 0})
            if waits <= 0:
                decision.deferral = Uncertain(f"{why}; it is not there and is sent again")
                self._believe_absence(decision)
                break
            if not self._waited(waits):
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
        refused = decision.doubt is not None and decision.doubt.refused
        there = Fate(Result.UNCHANGED) if refused else Fate(Result.APPLIED, "proved by reading back")
        for key in decision.open:
            if decision.seen.get(key) == asked[key]:
                decision.fates[key] = there

    def _believe_absence(self, decision: Decision) -> None:
        """HubSpot has answered COMPLETE and the number is not there: it took another, or takes none."""
        for key in decision.open:
            echoed = decision.fates[key].echoed if key in decision.fates else None
            if echoed is not None and decision.seen.get(key) == echoed:
                decision.fates[key] = Fate(Result.REJECTED, f"HubSpot set {echoed} instead", read=True)
            elif decision.doubt and decision.doubt.in_vain >= SENT_IN_VAIN:
                message = f"HubSpot answered COMPLETE {decision.doubt.in_vain} times, gave no error, and did not set it"
                decision.fates[key] = Fate(Result.REJECTED, message, read=True)

    def _look_behind_refusals(self, decision: Decision) -> None:
        """Where a limit was refused because it exists: unchanged if it has the number asked for. Where it was refused
        after an earlier send in doubt: applied if that send has set it after all."""
        winners = {winner.item.key: winner for winner in decision.call.winners}
        refusals = {
            key: fate for key, fate in decision.fates.items() if fate.result is Result.REJECTED and not fate.read
        }
        suspect = [key for key, fate in refusals.items() if fate.exists or winners[key].doubt]
        if not suspect:
            return
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
                # After a send of ours without a clear answer, it is most likely that send which set it.
                ours = doubt is not None and not doubt.refused
                fate = Fate(Result.APPLIED, "proved by reading back") if ours else Fate(Result.UNCHANGED)
                decision.fates[key] = fate
            elif doubt and not doubt.refused and (age := self._age(doubt)) < READ_LAG:
                why = "it was refused, perhaps because an earlier call has set it, and reads can lag behind"
                self._leave_open(decision, [key], Unavailable(why, retry_after=READ_LAG - age))

    def _age(self, doubt: Doubt) -> float:
        return (self._ports.clock() - doubt.since).total_seconds()

    @staticmethod
    def _leave_open(decision: Decision, keys: list[LimitKey], failure: HubSpotFailure) -> None:
        """Let the refused wait for another run, which reads before it sends."""
        for key in keys:
            del decision.fates[key]
        decision.deferral = decision.deferral or failure
        earlier = [winner.doubt for winner in decision.call.winners if winner.item.key in keys]
        doubt = latest([decision.doubt, *earlier]) or Doubt(since=decision.attempts[0].at, refused=True)
        decision.doubt = doubt.model_copy(update={"absent_since": None, "cleared": False})

    # -------------------------------------------------------------------------------------------------------- halving
    def _halved(self, call: Call, *, may_probe: bool) -> Iterator[Decision]:
        """Find the bad inputs of a batch that is known to have some."""
        first, second = call.halves()
        of_first = yield from self._settled(first)
        if of_first.batch is Batch.ACCEPTED:
            # Then the second half holds what is bad, and need not be sent whole to know it.
            if len(second.winners) > 1:
                yield from self._halved(second, may_probe=may_probe)
            else:
                yield from self._settled(second)
            return
        of_second = yield from self._settled(second)
        if may_probe and of_first.batch is of_second.batch is Batch.REFUSED and of_second.refused_whole:
            may_probe = False
            probe = self._probed(call, of_second.refusal)
            yield probe
            if probe.fates:
                return
        for last in (of_first, of_second):
            if last.refused_whole:
                yield from self._halved(last.call, may_probe=may_probe)  # with the doubts that have come since

    def _probed(self, call: Call, why: str) -> Decision:
        """Both halves were refused: perhaps it is not an input, but the pair itself that HubSpot does not know. Then it
        refuses to be read in the same words."""
        probe = Decision(call)
        try:
            self._line.read(call, probe)
        except Refused as refusal:
            if refusal.message == why:
                probe.fates = dict.fromkeys((item.key for item in call.inputs), refused(refusal))
                probe.said = said(refusal)
        except HubSpotFailure as failure:
            # Halving goes on all the same: that costs calls, not truth.
            logger.info("probe failed", error=str(failure))
        return probe


def _in_vain(call: Call) -> int:
    return call.doubt.in_vain if call.doubt else 0


def _in_doubt(why: str, failure: HubSpotFailure) -> Uncertain:
    """Why something in doubt waits: it could not be read back."""
    return Uncertain(
        f"{why}, and reading back failed: {failure}",
        http_status=failure.http_status,
        retry_after=failure.retry_after,
        daily=failure.daily,
        portal_wide=failure.portal_wide,
    )
