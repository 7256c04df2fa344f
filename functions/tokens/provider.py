"""A bearer token for each portal, from the portal's own secret, refreshed before it ends and of the right account."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta, tzinfo
from uuid import uuid4
from zoneinfo import ZoneInfo

from aws.secrets_manager import MEMORY, NO_MEMORY, SecretStore
from model.errors import HubSpotFailure, Misconfigured, PortalEnded, Refused, SecretMissing, Unavailable
from tokens.access_tokens import AccessTokens
from tokens.credentials import Credentials
from tokens.oauth_refresh import OAuthRefresh
from tokens.portals import Portals
from tokens.ports import OAuthPort, SlotPort
from tokens.refusal_cache import RefusalCache
from tokens.store import RECHECK, CredentialStore


class TokenProvider:
    """Tokens by portal; threads may share it. Every failure holds for any call for the portal.

    Raises Misconfigured, naming the secret at fault and never its content, Unavailable, PortalEnded, or Refused for a
    portal that there never was. None has an HTTP status or a body: those belong to a refresh or a check of the token,
    not to the call that needs it.
    """

    def __init__(
        self,
        secrets: SecretStore,
        portals: Portals,
        hubspot: OAuthPort,
        access_tokens: AccessTokens,
        quota: SlotPort,
        pace: SlotPort,
        clock: Callable[[], datetime],
        sleep: Callable[[float], None],
        api_version: str,
        *,
        new_id: Callable[[], str] = lambda: uuid4().hex,
        jitter: Callable[[], float] = random.random,
        new_lock: Callable[[], AbstractContextManager[object]] = threading.Lock,
    ) -> None:
        self._portals = portals
        self._hubspot = hubspot
        self._quota = quota
        self._clock = clock
        self._api_version = api_version
        self._new_lock = new_lock
        self._store = CredentialStore(secrets, access_tokens, clock)
        self._refusals = RefusalCache(clock)
        self._refresh = OAuthRefresh(
            self._store, self._refusals, hubspot, access_tokens, pace, clock, sleep, api_version, new_id, jitter
        )
        self._zones: dict[str, ZoneInfo | None] = {}
        self._given = _Given()
        self._checked: dict[str, tuple[object, ...]] = {}
        self._busy: dict[str, AbstractContextManager[object]] = {}

    def secret_name(self, portal: str) -> str:
        """The name of the secret that holds a portal's token."""
        return self._portals.secret_name(portal)

    def zone(self, portal: str) -> tzinfo | None:
        """The time zone that a portal's secret names, as far as this worker has read it."""
        return self._zones.get(portal)

    def bearer(self, portal: str, seconds: float, *, fresh: bool = False) -> str:
        """The token of a portal, within `seconds`; `fresh` after HubSpot refused (401) the one we gave out last.

        A token that cannot be refreshed, as it is static, is given again when its secret holds no other.
        """
        deadline = self._clock() + timedelta(seconds=seconds)
        try:
            # One thread at a time for each portal: what one finds out, the others then know.
            with self._busy.setdefault(portal, self._new_lock()):
                credentials = self._credentials(portal, deadline, fresh)
                if not self._accepted(portal, credentials, deadline, last=fresh):
                    credentials = self._credentials(portal, deadline, fresh=True)
                    self._accepted(portal, credentials, deadline, last=True)
        except HubSpotFailure as failed:
            failure = self._portals.without_secret(portal) if isinstance(failed, SecretMissing) else failed
            failure.portal_wide = True
            failure.http_status = failure.body = None
            raise failure from failed.__cause__
        self._portals.use(portal)
        return credentials.access_token

    def _credentials(self, portal: str, deadline: datetime, fresh: bool) -> Credentials:
        name = self.secret_name(portal)
        refused = self._given.tokens.get(portal) if fresh else None
        memory = NO_MEMORY if fresh else RECHECK if self._refusals.doubts(portal) else MEMORY
        credentials = self._store.read(name, memory)
        _refuse_ended(credentials, portal, name)
        self._zones[portal] = credentials.zone
        known = self._refusals.of(portal, credentials.version)
        if known and not (isinstance(known, Unavailable) and credentials.lasts(self._clock(), refused)):
            raise known
        if not known and not credentials.serves(self._clock(), refused):
            try:
                credentials = self._refresh.renew(portal, name, refused, deadline)
            except Unavailable:
                if not credentials.lasts(self._clock(), refused):
                    raise
            _refuse_ended(credentials, portal, name)  # meanwhile
        self._given.tokens[portal] = credentials.access_token
        return credentials

    def _accepted(self, portal: str, credentials: Credentials, deadline: datetime, *, last: bool) -> bool:
        """Whether HubSpot accepts a token whose secret names an account. False only when it is not the `last` try.

        Each execution environment asks once, and again when another token or account is stored: a refresh token brings
        access tokens of one account only. Raises unless the token is known to be of the right account.
        """
        if credentials.hub_id is None or self._checked.get(portal) == credentials.identity:
            return True
        self._quota.reserve(portal, ahead=1, urgent=True, until=deadline)  # a person may wait for it
        secret = self.secret_name(portal)
        try:
            seconds = (deadline - self._clock()).total_seconds()
            account = self._hubspot.hub_id(credentials.access_token, self._api_version, seconds)
        except HubSpotFailure as failure:
            if failure.http_status == 401 and not last:
                return False
            lasting = isinstance(failure, (Misconfigured, Refused))
            why = f"HubSpot did not tell the account of the token in the secret {secret}, so nothing was sent"
            refusal = failure.restated(Misconfigured if lasting else Unavailable, f"{why}: {failure.message}")
            if lasting:
                self._refusals.add(portal, credentials.version, refusal)
            raise refusal from failure
        if account != credentials.hub_id:
            wrong = Misconfigured(
                f"the token in the secret {secret} belongs to HubSpot account {account}, not to {credentials.hub_id},"
                " which its hubId names: nothing was sent"
            )
            self._refusals.add(portal, credentials.version, wrong)
            raise wrong
        self._checked[portal] = credentials.identity
        return True


def _refuse_ended(credentials: Credentials, portal: str, name: str) -> None:
    if credentials.ended:
        raise PortalEnded(f"the portal {portal} has been ended, in its secret {name}")


class _Given(threading.local):
    """The last token that this thread was given for each portal: another thread may have been given another."""

    def __init__(self) -> None:
        self.tokens: dict[str, str] = {}
