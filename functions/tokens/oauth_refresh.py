"""The refresh of an OAuth access token: by one worker at a time, while the others wait for what it brings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from aws.secrets_manager import NO_MEMORY
from model.access_token import RefreshedToken
from model.errors import HubSpotFailure, LedgerUnavailable, Misconfigured, OutOfTime, Refused, Unavailable
from runtime.telemetry import logger
from tokens.credentials import Credentials
from tokens.refusal_cache import RefusalCache
from tokens.store import CredentialStore

LEASE = timedelta(seconds=20)  # that a refresh and its write take at most; a dead worker's lock is free after that
LONGEST_REFRESH = 10.0  # seconds of it for HubSpot
LONGEST_WAIT = timedelta(seconds=10)  # for another worker's refresh
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 1.0  # seconds between two looks, doubled each time
ROUNDS = 2  # an owner may store other credentials while we refresh the old ones; hardly twice


class OAuthPort(Protocol):
    """HubSpot's tokens and accounts, as `hubspot.HubSpot` reaches them."""

    def refresh(
        self, client_id: str, client_secret: str, refresh_token: str, api_version: str, seconds: float
    ) -> RefreshedToken: ...
    def hub_id(self, token: str, api_version: str, seconds: float) -> int: ...


class LockPort(Protocol):
    """Locks between all workers, as `locks.Locks` keeps them."""

    def acquire(self, name: str, holder: str, now: datetime, until: datetime) -> bool: ...
    def release(self, name: str, holder: str, now: datetime) -> None: ...


class OAuthRefresh:
    """Refreshes the access tokens of portals. `jitter` is from 0 to 1. `new_id` makes the names of holders of the lock,
    which must never be the same for two workers: a holder that asks again has the lock already."""

    def __init__(
        self,
        store: CredentialStore,
        refusals: RefusalCache,
        hubspot: OAuthPort,
        locks: LockPort,
        clock: Callable[[], datetime],
        sleep: Callable[[float], None],
        api_version: str,
        new_id: Callable[[], str],
        jitter: Callable[[], float],
    ) -> None:
        self._store = store
        self._refusals = refusals
        self._hubspot = hubspot
        self._locks = locks
        self._clock = clock
        self._sleep = sleep
        self._api_version = api_version
        self._new_id = new_id
        self._jitter = jitter

    def renew(self, portal: str, name: str, refused: str | None, deadline: datetime) -> Credentials:
        """Credentials that serve, from the secret of that name or from a refresh; `refused` is a token known not to.

        Raises Misconfigured when HubSpot refuses the refresh, else Unavailable.
        """
        holder = self._new_id()
        give_up = min(deadline, self._clock() + LONGEST_WAIT)
        pause = FIRST_PAUSE
        while not self._acquire(portal, holder):
            credentials = self._store.read(name, NO_MEMORY)
            if credentials.lasts(self._clock(), refused):
                return credentials
            spread = pause * (0.75 + self._jitter() / 2)  # so that those who wait do not all look at once
            if self._clock() + timedelta(seconds=spread) > give_up:
                raise Unavailable(f"another worker refreshes the token of portal {portal}, and is not done yet")
            self._sleep(spread)
            pause = min(LONGEST_PAUSE, pause * 2)
        try:
            return self._renew(portal, name, refused, deadline)
        finally:
            self._release(portal, holder)

    def _renew(self, portal: str, name: str, refused: str | None, deadline: datetime) -> Credentials:
        for _ in range(ROUNDS):
            credentials = self._store.read(name, NO_MEMORY)  # the last holder may just have refreshed it
            if credentials.oauth is None or credentials.serves(self._clock(), refused):
                return credentials
            asked_at = self._clock()
            refreshed = self._refresh(portal, name, credentials, (deadline - asked_at).total_seconds())
            if kept := self._store.keep(name, credentials, refreshed, asked_at):
                return kept
        raise Unavailable(f"the secret {name} was changed each time its token was refreshed")

    def _refresh(self, portal: str, name: str, credentials: Credentials, seconds: float) -> RefreshedToken:
        oauth = credentials.oauth
        assert oauth is not None
        try:
            return self._hubspot.refresh(
                oauth.client_id,
                oauth.client_secret,
                oauth.refresh_token,
                self._api_version,
                min(seconds, LONGEST_REFRESH),
            )
        except OutOfTime:
            # Not remembered: it says nothing of HubSpot, and the next invocation has time.
            raise Unavailable(f"no time was left in this invocation to refresh the token of portal {portal}") from None
        except HubSpotFailure as failure:
            lasting = isinstance(failure, (Misconfigured, Refused))
            why = "HubSpot refused to refresh" if lasting else "it was not possible to refresh"
            told = (Misconfigured if lasting else Unavailable)(
                f"{why} the token of portal {portal} with the secret {name}: {failure.message}",
                correlation_id=failure.correlation_id,
                retry_after=failure.retry_after,
                daily=failure.daily,
            )
            self._refusals.add(portal, credentials.version, told)
            raise told from failure

    def _acquire(self, portal: str, holder: str) -> bool:
        now = self._clock()
        try:
            return self._locks.acquire(_lock(portal), holder, now, now + LEASE)
        except LedgerUnavailable as failure:
            raise Unavailable(f"the refresh of the token of portal {portal} could not be locked") from failure

    def _release(self, portal: str, holder: str) -> None:
        try:
            self._locks.release(_lock(portal), holder, self._clock())
        except LedgerUnavailable:
            logger.warning("a lock could not be released, and ends by itself", portal=portal)


def _lock(portal: str) -> str:
    return f"refresh#{portal}"
