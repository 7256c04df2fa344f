"""The credentials of portals in their secrets: read, and written back after a refresh."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from aws.secrets_manager import MEMORY, SecretStore
from model.access_token import RefreshedToken
from model.errors import HubSpotFailure, Misconfigured
from runtime.telemetry import logger
from tokens.credentials import Credentials, Unusable, parse

# The memory of a secret that does not work. It is short, so that the owner who mends it need not wait.
RECHECK = timedelta(seconds=3)
REWRITE = timedelta(seconds=30)  # between two tries to write; each can take as long as AWS does not answer
TRIES = 3  # of a write, when the owner writes at the same time; nobody writes that often


class CredentialStore:
    """Credentials by the name of their secret. Raises Misconfigured, naming the secret at fault and never its content,
    or Unavailable."""

    def __init__(self, secrets: SecretStore, clock: Callable[[], datetime]) -> None:
        self._secrets = secrets
        self._clock = clock
        # Refreshed credentials that could not be written, and when to try again: they count instead of the version
        # they were made from.
        self._unsaved: dict[str, tuple[Credentials, datetime]] = {}

    def read(self, name: str, memory: timedelta = MEMORY) -> Credentials:
        """The credentials in a secret, as they were less than `memory` ago."""
        with suppress(Unusable):
            return self._read(name, memory)
        try:
            return self._read(name, min(memory, RECHECK))
        except Unusable as unusable:
            raise Misconfigured(f"the secret {name} holds no usable token: {unusable}") from None

    def keep(self, name: str, used: Credentials, refreshed: RefreshedToken, asked_at: datetime) -> Credentials | None:
        """Write what a refresh with the credentials `used` brought. Returns None when the secret meanwhile has other
        credentials: those count. If it cannot be written, it is kept in memory and written later."""
        for _ in range(TRIES):
            if written := self._write(name, used.renewed(refreshed, asked_at)):
                return written
            current = self.read(name, RECHECK)
            if (current.oauth, current.access_token) != (used.oauth, used.access_token):
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
            logger.error("a refreshed token could not be stored", secret=name, reason=failure.message)
            return mine
        self._unsaved.pop(name, None)
        return parse(written.text, written.version) if written else None
