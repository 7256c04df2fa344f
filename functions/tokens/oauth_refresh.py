"""The refresh of an OAuth access token: by one worker at a time, while the others wait for the new token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from aws.secrets_manager import NO_MEMORY
from model.access_token import RefreshedToken
from model.errors import (
    HubSpotFailure,
    LedgerUnavailable,
    Misconfigured,
    OutOfTime,
    QuotaExhausted,
    Refused,
    Unavailable,
)
from model.quota import Quota
from runtime.telemetry import logger
from tokens.access_tokens import AccessTokens
from tokens.credentials import Credentials, OAuth
from tokens.ports import OAuthPort, SlotPort
from tokens.refusal_cache import RefusalCache
from tokens.store import RECHECK, CredentialStore

LEASE = timedelta(seconds=20)  # a refresh and its write take less; a dead worker's lock is free after it
LONGEST_REFRESH = 10.0  # seconds of the lease for HubSpot
LEFT = timedelta(seconds=3)  # for a refresh and its writes, when the wait for a turn is over: most take less
LONGEST_WAIT = timedelta(seconds=10)  # for another worker's refresh
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 1.0  # seconds between two looks, doubled each time
# A new refresh token is two writes to Secrets Manager, which takes 50 a second of a whole account ("AWS Secrets Manager
# quotas"). So refreshes take their slots out of a bucket of their own, of all portals together: 40 writes a second.
REFRESHES, PACE = "#refreshes", Quota(200)
ROUNDS = 2  # an owner may store other credentials while we refresh the old ones; hardly twice


@dataclass(frozen=True, slots=True)
class OAuthRefresh:
    """Refreshes the access tokens of portals. `jitter` gives a number from 0 to 1. `new_id` names the holder of a lock:
    never twice the same, because a holder that asks again has the lock already."""

    store: CredentialStore
    refusals: RefusalCache
    hubspot: OAuthPort
    tokens: AccessTokens
    pace: SlotPort
    clock: Callable[[], datetime]
    sleep: Callable[[float], None]
    api_version: str
    new_id: Callable[[], str]
    jitter: Callable[[], float]

    def renew(self, portal: str, name: str, refused: str | None, deadline: datetime) -> Credentials:
        """Credentials that serve, from the secret of that name or from a refresh; `refused` is a token that HubSpot has
        refused. Raises Misconfigured when HubSpot refuses the refresh, else Unavailable."""
        credentials = self.store.read(name, NO_MEMORY)  # another may have refreshed it
        if credentials.serves(self.clock(), refused):
            return credentials
        holder = self.new_id()
        give_up = min(deadline, self.clock() + LONGEST_WAIT)
        pause = FIRST_PAUSE
        while not self._lock(portal, name, holder):
            credentials = self.store.read(name, RECHECK)  # with the access token that is beside the lock
            if credentials.lasts(self.clock(), refused):
                return credentials
            spread = pause * (0.75 + self.jitter() / 2)  # so that those who wait do not all look at once
            if self.clock() + timedelta(seconds=spread) > give_up:
                raise _held(portal)
            self.sleep(spread)
            pause = min(LONGEST_PAUSE, pause * 2)
        try:
            return self._renew(portal, name, holder, refused, deadline)
        finally:
            self._unlock(portal, name, holder)

    def _renew(self, portal: str, name: str, holder: str, refused: str | None, deadline: datetime) -> Credentials:
        for _ in range(ROUNDS):
            self._take_turn(portal, name, holder, deadline)
            credentials = self.store.read(name, NO_MEMORY)  # the last holder may just have refreshed it
            if credentials.oauth is None or credentials.serves(self.clock(), refused):
                return credentials
            asked_at = self.clock()
            seconds = min((deadline - asked_at).total_seconds(), LONGEST_REFRESH)
            try:
                refreshed = self._refresh(credentials.oauth, seconds)
            except OutOfTime:
                # Not remembered: it says nothing about HubSpot, and the next invocation has time.
                why = f"no time was left in this invocation to refresh the token of portal {portal}"
                raise Unavailable(why) from None
            except HubSpotFailure as failure:
                lasting = isinstance(failure, (Misconfigured, Refused))
                why = "HubSpot refused to refresh" if lasting else "it was not possible to refresh"
                why += f" the token of portal {portal} with the secret {name}: {failure.message}"
                refusal = failure.restated(Misconfigured if lasting else Unavailable, why)
                self.refusals.add(portal, credentials.version, refusal)
                raise refusal from failure
            if stored := self.store.keep(name, holder, credentials, refreshed, asked_at):
                return stored
        raise Unavailable(f"the secret {name} was changed each time its token was refreshed")

    def _refresh(self, app: OAuth, seconds: float) -> RefreshedToken:
        return self.hubspot.refresh(app.client_id, app.client_secret, app.refresh_token, self.api_version, seconds)

    def _take_turn(self, portal: str, name: str, holder: str, deadline: datetime) -> None:
        """Refresh no faster than Secrets Manager can store what a refresh may bring: without it the portal is lost. The
        lock is taken anew after the wait, as its lease is for the refresh and the write."""
        if not self.store.may_rotate(name):
            return
        # A refresh that is cut off may have replaced the refresh token all the same.
        until = max(self.clock(), min(deadline - LEFT, self.clock() + LONGEST_WAIT))
        try:
            self.pace.reserve(REFRESHES, ahead=1, urgent=True, until=until)
        except QuotaExhausted as full:
            why = f"the token of portal {portal} is not refreshed yet: more are than Secrets Manager could store"
            raise full.restated(Unavailable, why) from full
        if not self._lock(portal, name, holder):
            raise _held(portal)

    def _lock(self, portal: str, name: str, holder: str) -> bool:
        try:
            return self.tokens.lock(name, holder, self.clock() + LEASE)
        except LedgerUnavailable as failure:
            raise Unavailable(f"the refresh of the token of portal {portal} could not be locked") from failure

    def _unlock(self, portal: str, name: str, holder: str) -> None:
        try:
            self.tokens.unlock(name, holder)
        except LedgerUnavailable:
            logger.warning("a lock could not be released, and ends by itself", portal=portal)


def _held(portal: str) -> Unavailable:
    return Unavailable(f"another worker refreshes the token of portal {portal}, and is not done yet")
