"""The credentials of portals: their secrets, read, and written where HubSpot replaces a refresh token; and their access
tokens."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from aws.secrets_manager import MEMORY, SecretStore
from model.access_token import AccessToken, RefreshedToken
from model.errors import HubSpotFailure, LedgerUnavailable, Misconfigured
from runtime.telemetry import logger
from tokens.access_tokens import AccessTokens
from tokens.credentials import Credentials, Unusable, parse

# The memory of a secret that does not work. It is short, so that the owner who mends it need not wait.
RECHECK = timedelta(seconds=3)
REWRITE = timedelta(seconds=30)  # between two tries to write; each can take as long as AWS does not answer
TRIES = 3  # of a write, when the owner writes at the same time; nobody writes that often


class CredentialStore:
    """Credentials by the name of their secret. Raises Misconfigured, naming the secret at fault and never its content,
    or Unavailable."""

    def __init__(self, secrets: SecretStore, tokens: AccessTokens, clock: Callable[[], datetime]) -> None:
        self._secrets = secrets
        self._tokens = tokens
        self._clock = clock
        # Refreshed credentials that could not be written, and when to try again: they count instead of the version
        # they were made from.
        self._unsaved: dict[str, tuple[Credentials, datetime]] = {}

    def read(self, name: str, memory: timedelta = MEMORY) -> Credentials:
        """The credentials in a secret and their access token, as they were less than `memory` ago."""
        credentials = self._stored(name, memory)
        return credentials.having(self._tokens.current(name, memory)) if credentials.oauth else credentials

    def may_rotate(self, name: str) -> bool:
        """Whether a refresh may bring another refresh token, which the secret then has to hold."""
        last = self._tokens.current(name, MEMORY)
        return last is None or last.rotates

    def keep(
        self, name: str, holder: str, used: Credentials, refreshed: RefreshedToken, asked_at: datetime
    ) -> Credentials | None:
        """Keep what a refresh with the credentials `used` brought. Returns None when the secret meanwhile has other
        credentials: those count. If it cannot be kept, it is in memory, and the secret is written later."""
        credentials: Credentials | None = used
        if refreshed.refresh_token:
            credentials = self._rotated(name, used, refreshed.refresh_token)
        if credentials is None:
            return None
        grants = dict.fromkeys((used.grant, credentials.grant))  # of the old one, for who does not know the new one yet
        ends_at = asked_at + timedelta(seconds=refreshed.expires_in)
        token = AccessToken(refreshed.access_token, ends_at, int(refreshed.expires_in), tuple(grants))
        try:
            self._tokens.keep(name, holder, token)
        except LedgerUnavailable as error:
            logger.warning("an access token could not be kept for others", secret=name, error=str(error))
        return credentials.having(token)

    def _stored(self, name: str, memory: timedelta) -> Credentials:
        with suppress(Unusable):
            return self._read(name, memory)
        try:
            return self._read(name, min(memory, RECHECK))
        except Unusable as unusable:
            raise Misconfigured(f"the secret {name} holds no usable token: {unusable}") from None

    def _rotated(self, name: str, used: Credentials, refresh_token: str) -> Credentials | None:
        for _ in range(TRIES):
            if used.oauth and used.oauth.refresh_token == refresh_token:
                return used
            if written := self._write(name, used.renewed(refresh_token)):
                return written
            current = self._stored(name, RECHECK)
            if current.oauth != used.oauth:
                return None
            used = current  # only other parts have changed: our refresh still belongs to it
        return None

    def _read(self, name: str, memory: timedelta) -> Credentials:
        secret = self._secrets.current(name, memory)
        mine, retry_at = self._unsaved.get(name, (None, None))
        if mine and retry_at and mine.version == secret.version:
            if self._clock() < retry_at:
                return mine
            if written := self._write(name, mine):
                return written
            secret = self._secrets.current(name, RECHECK)
        else:
            self._unsaved.pop(name, None)  # somebody has written another version: that counts
        return parse(secret.text, secret.version)

    def _write(self, name: str, mine: Credentials) -> Credentials | None:
        # Noted before the try, so that other threads neither write nor refresh at the same time.
        self._unsaved[name] = mine, self._clock() + REWRITE
        try:
            written = self._secrets.replace(name, mine.version, mine.text)
        except HubSpotFailure as failure:
            logger.error("a refresh token could not be stored", secret=name, reason=failure.message)
            return mine
        self._unsaved.pop(name, None)
        return parse(written.text, written.version) if written else None
