"""The line to HubSpot: one HTTP call with the portal's token, written down as an attempt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from batch_create.decision import Decision, Limits
from batch_create.errors import HubSpotFailure, NoTurn
from batch_create.hubspot import Answer
from batch_create.outcomes import Attempt, HubSpotSaid, Verdict
from batch_create.plan import Call
from batch_create.ports import Point, Ports
from batch_create.retry import not_before

T = TypeVar("T")

TOKEN_REFUSED = (401, 403)
TOO_MANY = 429
CALL = timedelta(seconds=4)  # what a call needs before the deadline, or waiting for it was for nothing
# For which bulk work waits in a function; then it waits in the queue, and the function is free for other portals.
LONGEST_TURN = timedelta(seconds=10)
ATTEMPT_MESSAGE_CHARACTERS = 500  # 50 attempts of an outcome must leave room in its item


class Line:
    """Calls until `deadline`. Nothing is sent twice, but after a 401 with a fresh token.

    What was tried and what HubSpot said goes into the decision; every failure of `errors` is raised on.
    """

    def __init__(self, ports: Ports, deadline: datetime, *, urgent: bool) -> None:
        self._ports = ports
        self._deadline = deadline
        self._urgent = urgent
        self._down: dict[str, HubSpotFailure] = {}  # portals for which any further call would fail alike
        self._ahead: Counter[str] = Counter()

    def expect(self, portal: str, calls: int) -> None:
        """Know that so many more calls are to come, so that slots for them are taken together."""
        self._ahead[portal] += calls

    def create(self, call: Call, decision: Decision) -> Answer:
        """Send a batch create."""

        def create(token: str, seconds: float) -> Answer:
            return self._ports.hubspot.batch_create(token, call.pair, call.inputs, seconds)

        try:
            answer = self._attempt(f"create {len(call.winners)}", Verdict.ANSWERED, create, decision)
        except HubSpotFailure as failure:
            decision.said = said(failure)
            raise
        status = answer.body.status.value if answer.body.status else None
        decision.said = HubSpotSaid(
            http_status=answer.http_status, status=status, correlation_id=answer.correlation_id, body=answer.text
        )
        return answer

    def read(self, call: Call, decision: Decision) -> Limits:
        """Every limit of a call's pair."""

        def read(token: str, seconds: float) -> Limits:
            return self._ports.hubspot.read_pair(token, call.pair, seconds)

        return self._attempt("read", Verdict.READ_BACK, read, decision)

    def _attempt(self, name: str, verdict: Verdict, use: Callable[[str, float], T], decision: Decision) -> T:
        portal = decision.call.portal
        if down := self._down.get(portal):
            raise down
        for fresh in (False, True):
            attempt = Attempt(at=self._ports.clock(), call=name, verdict=verdict)
            try:
                token = self._ports.tokens.bearer(portal, self._seconds(), fresh=fresh)
                self._ports.reached(Point.AFTER_TOKEN)
                self._await_turn(portal)  # with the token in hand, whose refresh can take longer than a turn lasts
                attempt = attempt.model_copy(update={"at": self._ports.clock()})
                self._ports.reached(Point.BEFORE_SEND)
                result = use(token, self._seconds())
                self._ports.reached(Point.AFTER_ANSWER)
            except NoTurn as failure:
                self._down[portal] = failure
                raise
            except HubSpotFailure as failure:
                decision.attempts.append(_failed(attempt, failure))
                self._heed(portal, failure, attempt.at)
                if failure.http_status == 401 and not fresh:
                    continue
                if failure.http_status in TOKEN_REFUSED:
                    # HubSpot speaks of "the token"; the reader needs to know which of ours.
                    failure.message = (
                        f"HubSpot refused the token of portal {portal}, from the secret"
                        f" {self._ports.tokens.secret_of(portal)}: {failure.message}"
                    )
                if failure.portal_wide:
                    self._down[portal] = failure
                raise
            decision.attempts.append(_answered(attempt, result))
            if isinstance(result, Answer) and result.quota:
                self._ports.budget.heard(portal, result.quota, attempt.at)
            return result
        raise AssertionError("the second try has returned or raised")

    def _await_turn(self, portal: str) -> None:
        """Wait until HubSpot's quota has room for a call."""
        until = self._deadline - CALL
        if not self._urgent:
            until = min(until, self._ports.clock() + LONGEST_TURN)
        self._ports.budget.wait(portal, ahead=max(1, self._ahead[portal]), urgent=self._urgent, until=until)
        self._ahead[portal] -= 1

    def _heed(self, portal: str, failure: HubSpotFailure, at: datetime) -> None:
        if failure.quota:
            self._ports.budget.heard(portal, failure.quota, at)
        if failure.http_status == TOO_MANY:
            now = self._ports.clock()
            until = not_before(failure, 1, now, self._ports.zone(portal), 0)
            self._ports.budget.limited(portal, until, daily=failure.daily)

    def _seconds(self) -> float:
        return (self._deadline - self._ports.clock()).total_seconds()


def said(failure: HubSpotFailure) -> HubSpotSaid | None:
    """HubSpot's words, where a failure has any."""
    if not failure.http_status:
        return None
    return HubSpotSaid(http_status=failure.http_status, correlation_id=failure.correlation_id, body=failure.body)


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
