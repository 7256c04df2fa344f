"""One HTTP call with the portal's token, recorded as an attempt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from batch_create.call_result import CallResult, Limits
from batch_create.dependencies import Dependencies
from batch_create.plan import Call
from batch_create.ports import Point
from hubspot_api.client import Answer
from hubspot_api.retry_policy import not_before
from model.errors import HubSpotFailure, Misconfigured, PortalEnded, QuotaExhausted, Refused, Unavailable, Uncertain
from model.outcomes import Attempt, HubSpotResponse, Verdict
from model.pair import Address

T = TypeVar("T")

# What became of a call that failed so.
VERDICTS = {
    Refused: Verdict.REFUSED,
    Misconfigured: Verdict.MISCONFIGURED,
    PortalEnded: Verdict.MISCONFIGURED,
    Unavailable: Verdict.UNAVAILABLE,
    Uncertain: Verdict.UNCERTAIN,
}

TOKEN_REFUSED = (401, 403)
TOO_MANY_REQUESTS = 429
CALL_TIME = timedelta(seconds=4)  # what a call needs before the deadline, or waiting for it was for nothing
# Bulk work waits this long in a function, and longer in the queue, so that the function is free for other portals.
LONGEST_SLOT_WAIT = timedelta(seconds=10)
ATTEMPT_MESSAGE_CHARACTERS = 500  # 50 attempts of an outcome must leave room in its item


class AuthorisedCalls:
    """Calls until `deadline`, `urgent` ones with a caller who waits. Nothing is sent twice, except with a fresh token
    after a 401.

    Attempts and HubSpot's answer go into the result. Every failure of `model.errors` is raised on.
    """

    def __init__(self, deps: Dependencies, deadline: datetime, *, urgent: bool = False) -> None:
        self._deps = deps
        self._deadline = deadline
        self.urgent = urgent
        self._down: dict[str, HubSpotFailure] = {}  # portals for which any further call would fail alike
        self._ahead: Counter[str] = Counter()

    def expect(self, portal: str, calls: int) -> None:
        """Expect so many more calls, so that slots for them are taken together."""
        self._ahead[portal] += calls

    def down(self, portal: str) -> HubSpotFailure | None:
        """Why every further call for a portal would fail, if it would."""
        return self._down.get(portal)

    def create(self, call: Call, result: CallResult) -> Answer:
        """Send a batch create."""
        hubspot, name = self._deps.hubspot, f"create {len(call.winners)}"
        try:
            answer = self._attempt(
                call.portal,
                name,
                Verdict.ANSWERED,
                lambda token, seconds: hubspot.batch_create(token, call.address, call.inputs, seconds),
                result.attempts,
            )
        except HubSpotFailure as failure:
            result.response = response_of(failure)
            raise
        result.response = HubSpotResponse(
            http_status=answer.http_status,
            status=answer.body.status.value if answer.body.status else None,
            correlation_id=answer.correlation_id,
            body=answer.text,
        )
        return answer

    def read(self, portal: str, address: Address, attempts: list[Attempt]) -> Limits:
        """Read every limit of a pair."""
        hubspot = self._deps.hubspot
        return self._attempt(
            portal,
            "read",
            Verdict.READ_BACK,
            lambda token, seconds: hubspot.read_pair(token, address, seconds),
            attempts,
        )

    def object_type(self, portal: str, name: str) -> str:
        """Ask for the id of a portal's object type. No request shows these attempts: the id is for all of them."""
        hubspot, version = self._deps.hubspot, self._deps.default_api_version
        return self._attempt(
            portal,
            "type",
            Verdict.ANSWERED,
            lambda token, seconds: hubspot.object_type(token, version, name, seconds),
            [],
        )

    def _attempt(
        self, portal: str, name: str, verdict: Verdict, use: Callable[[str, float], T], attempts: list[Attempt]
    ) -> T:
        if down := self._down.get(portal):
            raise down
        for fresh in (False, True):
            attempt = Attempt(at=self._deps.clock(), call=name, verdict=verdict)
            try:
                token = self._deps.tokens.bearer(portal, self._seconds(), fresh=fresh)
                self._deps.reached(Point.AFTER_TOKEN)
                self._reserve_slot(portal)  # after the token, whose refresh can take longer than a slot is usable
                attempt = replace(attempt, at=self._deps.clock())
                self._deps.reached(Point.BEFORE_SEND)
                answer = use(token, self._seconds())
                self._deps.reached(Point.AFTER_ANSWER)
            except QuotaExhausted as failure:
                self._down[portal] = failure
                raise
            except HubSpotFailure as failure:
                attempts.append(_failed(attempt, failure))
                self._observe_failure(portal, failure, attempt.at)
                if failure.http_status == 401 and not fresh:
                    continue
                if failure.http_status in TOKEN_REFUSED:
                    # HubSpot writes "the token"; the reader needs to know which of ours.
                    secret = self._deps.tokens.secret_name(portal)
                    failure.message = (
                        f"HubSpot refused the token of portal {portal}, from the secret {secret}: {failure.message}"
                    )
                if failure.portal_wide:
                    self._down[portal] = failure
                raise
            if isinstance(answer, Answer):
                attempt = replace(attempt, http_status=answer.http_status, correlation_id=answer.correlation_id)
                if answer.quota:
                    self._deps.quota.observe(portal, answer.quota, attempt.at)
            attempts.append(attempt)
            return answer
        raise AssertionError("the second try has returned or raised")

    def _reserve_slot(self, portal: str) -> None:
        until = self._deadline - CALL_TIME
        if not self.urgent:
            until = min(until, self._deps.clock() + LONGEST_SLOT_WAIT)
        self._deps.quota.reserve(portal, ahead=max(1, self._ahead[portal]), urgent=self.urgent, until=until)
        self._ahead[portal] -= 1

    def _observe_failure(self, portal: str, failure: HubSpotFailure, at: datetime) -> None:
        if failure.quota:
            self._deps.quota.observe(portal, failure.quota, at)
        if failure.http_status == TOO_MANY_REQUESTS:
            until = not_before(failure, 1, self._deps.clock(), self._deps.zone(portal), 0)
            self._deps.quota.block(portal, until, daily=failure.daily)

    def _seconds(self) -> float:
        return (self._deadline - self._deps.clock()).total_seconds()


def response_of(failure: HubSpotFailure) -> HubSpotResponse | None:
    """HubSpot's answer, where a failure has one."""
    if not failure.http_status:
        return None
    return HubSpotResponse(http_status=failure.http_status, correlation_id=failure.correlation_id, body=failure.body)


def _failed(attempt: Attempt, failure: HubSpotFailure) -> Attempt:
    return replace(
        attempt,
        verdict=next(verdict for kind, verdict in VERDICTS.items() if isinstance(failure, kind)),
        http_status=failure.http_status,
        correlation_id=failure.correlation_id,
        message=failure.message[:ATTEMPT_MESSAGE_CHARACTERS],
    )
