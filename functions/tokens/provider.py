"""A bearer token for each portal, from the portal's own secret, refreshed before it ends and of the right account."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Protocol
from uuid import uuid4

from aws.secrets_manager import MEMORY, NO_MEMORY, SecretStore
from model.errors import HubSpotFailure, Misconfigured, Refused, Unavailable
from tokens.credentials import Credentials
from tokens.oauth_refresh import LockPort, OAuthPort, OAuthRefresh
from tokens.refusal_cache import RefusalCache
from tokens.store import RECHECK, CredentialStore


def _new_id() -> str:
    return uuid4().hex


class SlotPort(Protocol):
    """The shared quota, as `budget.SharedQuota` hands it out."""

    def wait(self, portal: str, *, ahead: int, urgent: bool, until: datetime) -> None: ...


class TokenProvider:
    """TokenProvider by portal; may be shared by threads. Every failure is true of any call for the portal.

    Raises Misconfigured, naming the secret at fault and never its content, or Unavailable. Neither has an HTTP status
    or a body: those of a token's refresh or check must not pass for HubSpot's answer to the call it was needed for.
    """

    def __init__(
        self,
        secrets: SecretStore,
        prefix: str,
        hubspot: OAuthPort,
        locks: LockPort,
        quota: SlotPort,
        clock: Callable[[], datetime],
        sleep: Callable[[float], None],
        api_version: str,
        *,
        new_id: Callable[[], str] = _new_id,
        jitter: Callable[[], float] = random.random,
        new_lock: Callable[[], AbstractContextManager[object]] = threading.Lock,
    ) -> None:
        self._prefix = prefix
        self._hubspot = hubspot
        self._quota = quota
        self._clock = clock
        self._sleep = sleep
        self._api_version = api_version
        self._store = CredentialStore(secrets, clock)
        self._refusals = RefusalCache(clock)
        self._renewal = OAuthRefresh(
            self._store, self._refusals, hubspot, locks, clock, sleep, api_version, new_id, jitter
        )
        self._given = _Given()
        self._checked: dict[str, tuple[object, ...]] = {}
        self._busy: dict[str, AbstractContextManager[object]] = {}
        self._new_lock = new_lock

    def secret_name(self, portal: str) -> str:
        """The name of the secret that holds a portal's token."""
        return f"{self._prefix}/{portal}"

    def bearer(self, portal: str, seconds: float, *, fresh: bool = False) -> str:
        """The token of a portal, within `seconds`; `fresh` after HubSpot refused (401) the one we gave out last.

        A token that cannot be refreshed, as it is static, is given again when its secret holds no other.
        """
        deadline = self._clock() + timedelta(seconds=seconds)
        try:
            # So that what one thread finds out, all others know.
            with self._busy.setdefault(portal, self._new_lock()):
                credentials = self._credentials(portal, deadline, fresh)
                if not self._accepted(portal, credentials, deadline, last=fresh):
                    credentials = self._credentials(portal, deadline, fresh=True)
                    self._accepted(portal, credentials, deadline, last=True)
        except HubSpotFailure as failure:
            failure.portal_wide = True
            failure.http_status = failure.body = None
            raise
        return credentials.access_token

    def _credentials(self, portal: str, deadline: datetime, fresh: bool) -> Credentials:
        name = self.secret_name(portal)
        refused = self._given.tokens.get(portal) if fresh else None
        memory = NO_MEMORY if fresh else RECHECK if self._refusals.doubts(portal) else MEMORY
        credentials = self._store.read(name, memory)
        known = self._refusals.of(portal, credentials.version)
        if known and not (isinstance(known, Unavailable) and credentials.lasts(self._clock(), refused)):
            raise known
        if not known and not credentials.serves(self._clock(), refused):
            credentials = self._renewed(portal, credentials, refused, deadline)
        self._given.tokens[portal] = credentials.access_token
        return credentials

    def _renewed(self, portal: str, old: Credentials, refused: str | None, deadline: datetime) -> Credentials:
        try:
            return self._renewal.renew(portal, self.secret_name(portal), refused, deadline)
        except Unavailable:
            if old.lasts(self._clock(), refused):
                return old
            raise

    def _accepted(self, portal: str, credentials: Credentials, deadline: datetime, *, last: bool) -> bool:
        """Whether HubSpot accepts a token that its secret says an account of; False only when it is not the `last`.

        It is asked once for each execution environment, and again when another token or account is stored: a refresh
        token brings access tokens of one account only. Raises unless the token is known to be of the right account.
        """
        if credentials.hub_id is None or self._checked.get(portal) == credentials.identity:
            return True
        self._quota.wait(portal, ahead=1, urgent=True, until=deadline)  # a person may wait for it
        try:
            seconds = (deadline - self._clock()).total_seconds()
            account = self._hubspot.hub_id(credentials.access_token, self._api_version, seconds)
        except HubSpotFailure as failure:
            if failure.http_status == 401 and not last:
                return False
            raise self._not_checked(portal, credentials, failure) from failure
        if account != credentials.hub_id:
            wrong = Misconfigured(
                f"the token in the secret {self.secret_name(portal)} belongs to HubSpot account {account}, not to"
                f" {credentials.hub_id}, which its hubId names: nothing was sent"
            )
            self._refusals.add(portal, credentials.version, wrong)
            raise wrong
        self._checked[portal] = credentials.identity
        return True

    def _not_checked(self, portal: str, credentials: Credentials, failure: HubSpotFailure) -> HubSpotFailure:
        lasting = isinstance(failure, (Misconfigured, Refused))
        told = (Misconfigured if lasting else Unavailable)(
            f"HubSpot did not say of which account the token in the secret {self.secret_name(portal)} is, so nothing was"
            f" sent: {failure.message}",
            correlation_id=failure.correlation_id,
            retry_after=failure.retry_after,
            daily=failure.daily,
        )
        if lasting:
            self._refusals.add(portal, credentials.version, told)
        return told


class _Given(threading.local):
    """The last token given out for each portal: to this thread, as another's may be another by now."""

    def __init__(self) -> None:
        self.tokens: dict[str, str] = {}
