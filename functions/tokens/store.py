"""The credentials of portals in their secrets: read, and written back after a refresh."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from aws.secrets_manager import MEMORY, SecretStore
from model.access_token import RefreshedToken
from model.errors import HubSpotFailure, Misconfigured
from runtime.telemetry import logger
from tokens.credentials import Credentials, Unusable, parse

# How old may be what is read of a secret that does not work: its owner, who mends it, should not have to wait.
RECHECK = timedelta(seconds=3)
REWRITE = timedelta(seconds=30)  # between two tries to write; each can take as long as AWS does not answer
TRIES = 3  # of a write that an owner's comes before; nobody writes that often


@dataclass(frozen=True)
class _Unsaved:
    """Refreshed credentials that could not be written: they count instead of the version they were made from."""

    credentials: Credentials
    retry_at: datetime


class CredentialStore:
    """Credentials by the name of their secret. Raises Misconfigured, naming the secret at fault and never its content,
    or Unavailable."""

    def __init__(self, secrets: SecretStore, clock: Callable[[], datetime]) -> None:
        self._secrets = secrets
        self._clock = clock
        self._unsaved: dict[str, _Unsaved] = {}

    def read(self, name: str, memory: timedelta = MEMORY) -> Credentials:
        """The credentials in a secret, as they were less than `memory` ago."""
        try:
            return self._read(name, memory)
        except Unusable:
            pass
        try:
            return self._read(name, min(memory, RECHECK))
        except Unusable as unusable:
            raise Misconfigured(f"the secret {name} holds no usable token: {unusable}") from None

    def keep(self, name: str, used: Credentials, refreshed: RefreshedToken, asked_at: datetime) -> Credentials | None:
        """Write what a refresh with the credentials `used` brought. None when the secret meanwhile holds other ones:
        those count. Where it cannot be written it is kept in memory, and written later."""
        for _ in range(TRIES):
            kept = self._write(name, used.renewed(refreshed, asked_at))
            if kept:
                return kept
            there = self.read(name, RECHECK)
            if (there.oauth, there.access_token) != (used.oauth, used.access_token):
                return None
            used = there  # changed in other parts: what we bring still belongs to it
        return None

    def _read(self, name: str, memory: timedelta) -> Credentials:
        secret = self._secrets.current(name, memory)
        unsaved = self._unsaved.get(name)
        if unsaved is None:
            return parse(secret.text, secret.version)
        mine = unsaved.credentials
        if mine.version != secret.version:
            self._unsaved.pop(name, None)  # somebody has written another: that counts
            return parse(secret.text, secret.version)
        if self._clock() < unsaved.retry_at:
            return mine
        if kept := self._write(name, mine):
            return kept
        current = self._secrets.current(name, RECHECK)
        return parse(current.text, current.version)

    def _write(self, name: str, mine: Credentials) -> Credentials | None:
        # Before the try already, so that meanwhile other threads neither write too nor refresh once more.
        self._unsaved[name] = _Unsaved(mine, self._clock() + REWRITE)
        try:
            written = self._secrets.replace(name, mine.version, mine.text)
        except HubSpotFailure as failure:
            logger.error("a refreshed token could not be stored", secret=name, reason=failure.message)
            return mine
        self._unsaved.pop(name, None)
        return parse(written.text, written.version) if written else None
