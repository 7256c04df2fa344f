"""One call to HubSpot and its proof: token, HTTP, attribution, and reading back what an answer leaves open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from batch_create.attribution import Fate, attribute
from batch_create.contract import AnswerStatus, LimitKey
from batch_create.errors import HubSpotFailure, Refused, Uncertain
from batch_create.hubspot import OWNER_MUST_MEND, Answer
from batch_create.outcomes import Attempt, HubSpotSaid, Result, Verdict
from batch_create.plan import Call
from batch_create.ports import Ports

T = TypeVar("T")
Limits = dict[LimitKey, int | None]

ATTEMPT_MESSAGE_CHARACTERS = 500  # 50 attempts of an outcome must leave room in its item


@dataclass
class Decision:
    """What a call came to: the fate of each input it decided and, for the others, why they must wait.

    With neither, it decided nothing by itself: its inputs follow in the decisions of smaller calls.
    """

    call: Call
    fates: dict[LimitKey, Fate] = field(default_factory=dict)
    deferral: HubSpotFailure | None = None
    said: HubSpotSaid | None = None
    attempts: list[Attempt] = field(default_factory=list)


class Caller:
    """Makes planned calls until `deadline`. Nothing is sent again within it, but after a 401 with a fresh token."""

    def __init__(self, ports: Ports, deadline: datetime) -> None:
        self._ports = ports
        self._deadline = deadline

    def make(self, call: Call) -> Iterator[Decision]:
        """Send a call and prove what it did. A batch refused for one bad input is halved until that stands alone."""
        decision = Decision(call)
        try:
            answer = self._create(call, decision)
        except Refused as refusal:
            if refusal.http_status == 400 and len(call.winners) > 1:
                decision.said = None  # said again, of each input that it is about
                yield decision
                for half in call.halves():
                    yield from self.make(half)
                return
            fate = Fate(Result.REJECTED, refusal.message, refusal.correlation_id)
            decision.fates = {item.key: fate for item in call.inputs}
        except Uncertain as failure:
            self._prove(decision, failure)
        except HubSpotFailure as failure:
            decision.deferral = failure
        else:
            decision.fates = attribute(call.inputs, answer.body)
            doubt = None
            if answer.body.status is not AnswerStatus.COMPLETE:
                doubt = Uncertain("HubSpot did not answer COMPLETE")
                decision.attempts[-1] = decision.attempts[-1].model_copy(update={"verdict": Verdict.UNCERTAIN})
            self._prove(decision, doubt)
        yield decision

    def look_up(self, call: Call) -> tuple[Decision, Limits]:
        """Read a pair whose earlier calls are in doubt: which of the call's limits are there, and all that is set."""
        decision = Decision(call)
        try:
            seen = self._read(call, decision)
        except HubSpotFailure as failure:
            decision.deferral = Uncertain(
                f"an earlier call is in doubt, and {failure}", retry_after=failure.retry_after
            )
            return decision, {}
        self._settle_by(seen, decision)
        return decision, seen

    def _prove(self, decision: Decision, doubt: Uncertain | None) -> None:
        """Read back what is still open. With a `doubt`, what is not there waits to be sent again; without one, HubSpot
        has finished, and what is not there stays unconfirmed."""
        if not self._open(decision):
            return
        try:
            self._settle_by(self._read(decision.call, decision), decision)
        except HubSpotFailure as failure:
            why = f"{doubt}, and reading back failed: {failure}" if doubt else f"reading back failed: {failure}"
            doubt = Uncertain(why, retry_after=failure.retry_after)
        if doubt:
            decision.deferral = doubt
            for key in self._open(decision):
                decision.fates.pop(key, None)

    @staticmethod
    def _open(decision: Decision) -> list[LimitKey]:
        keys = (item.key for item in decision.call.inputs)
        return [k for k in keys if k not in decision.fates or decision.fates[k].result is Result.UNCONFIRMED]

    def _settle_by(self, seen: Limits, decision: Decision) -> None:
        asked = {item.key: item.max_to_object_ids for item in decision.call.inputs}
        for key in self._open(decision):
            if seen.get(key) == asked[key]:
                decision.fates[key] = Fate(Result.APPLIED, "proved by reading back")

    def _create(self, call: Call, decision: Decision) -> Answer:
        def create(token: str, seconds: float) -> Answer:
            return self._ports.hubspot.batch_create(token, call.pair, call.inputs, seconds)

        try:
            answer = self._attempt(f"create {len(call.winners)}", Verdict.ANSWERED, create, decision)
        except HubSpotFailure as failure:
            if failure.http_status:
                decision.said = HubSpotSaid(
                    http_status=failure.http_status, correlation_id=failure.correlation_id, body=failure.body
                )
            raise
        status = answer.body.status.value if answer.body.status else None
        decision.said = HubSpotSaid(
            http_status=answer.http_status,
            status=status,
            correlation_id=answer.correlation_id,
            body=answer.text,
        )
        return answer

    def _read(self, call: Call, decision: Decision) -> Limits:
        def read(token: str, seconds: float) -> Limits:
            return self._ports.hubspot.read_pair(token, call.pair, seconds)

        return self._attempt("read", Verdict.READ_BACK, read, decision)

    def _attempt(self, name: str, verdict: Verdict, use: Callable[[str, float], T], decision: Decision) -> T:
        """Use the portal's token; after a 401 once more, with the secret fetched anew."""
        portal = decision.call.portal
        for fresh in (False, True):
            attempt = Attempt(at=self._ports.clock(), call=name, verdict=verdict)
            try:
                token = self._ports.tokens.bearer(portal, fresh=fresh)
                result = use(token, (self._deadline - self._ports.clock()).total_seconds())
            except HubSpotFailure as failure:
                decision.attempts.append(_failed(attempt, failure))
                if failure.http_status == 401 and not fresh:
                    continue
                if failure.http_status in OWNER_MUST_MEND:
                    # HubSpot speaks of "the token"; the reader needs to know which of ours.
                    failure.message = (
                        f"HubSpot refused the token of portal {portal}, from the secret"
                        f" {self._ports.tokens.secret_of(portal)}: {failure.message}"
                    )
                raise
            decision.attempts.append(_answered(attempt, result))
            return result
        raise AssertionError("the second try has returned or raised")


def _answered(attempt: Attempt, result: object) -> Attempt:
    if not isinstance(result, Answer):
        return attempt
    return attempt.model_copy(update={"http_status": result.http_status, "correlation_id": result.correlation_id})


def _failed(attempt: Attempt, failure: HubSpotFailure) -> Attempt:
    return attempt.model_copy(
        update={
            "verdict": Verdict(type(failure).__name__.upper()),
            "http_status": failure.http_status,
            "correlation_id": failure.correlation_id,
            "message": failure.message[:ATTEMPT_MESSAGE_CHARACTERS],
        }
    )
