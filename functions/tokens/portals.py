"""The portals of this deployment: a portal is a secret, so that it is added and ended without a deployment."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta

from aws.secrets_manager import SecretStore
from model.errors import (
    HubSpotFailure,
    LedgerUnavailable,
    Misconfigured,
    PortalEnded,
    Refused,
    SecretMissing,
    Unavailable,
)
from model.records import iso
from model.validation import portal_name
from runtime.telemetry import logger
from tokens.credentials import is_ended
from tokens.ports import RegistryPort

NAME = re.compile(portal_name.pattern)  # nothing that could name a secret which is no portal
# Of a name without a secret, in each execution environment: guesses cost few look-ups, and a new portal works soon.
UNKNOWN = timedelta(seconds=30)
MOST_UNKNOWN = 1_000  # names remembered so


class Portals:
    """Knows portals by their secrets, and keeps the registry of those that are used. One whose secret has been missing
    for `missed_for` has ended."""

    def __init__(
        self,
        secrets: SecretStore,
        prefix: str,
        registry: RegistryPort,
        clock: Callable[[], datetime],
        missed_for: timedelta,
    ) -> None:
        self._secrets = secrets
        self._prefix = prefix
        self._registry = registry
        self._clock = clock
        self._missed_for = missed_for
        self._used: set[str] = set()
        self._unknown: dict[str, datetime] = {}

    def secret_name(self, portal: str) -> str:
        """The name of the secret that a portal is."""
        return f"{self._prefix}/{portal}"

    def __contains__(self, portal: str) -> bool:
        """Whether requests for a portal are taken. One whose secret cannot be read now counts: what is asked for it
        waits. Raises LedgerUnavailable."""
        now = self._clock()
        if not NAME.fullmatch(portal) or now < self._unknown.get(portal, now):
            return False
        try:
            taken = not is_ended(self._secrets.current(self.secret_name(portal)).text)
            if taken:
                self._note(portal)
        except SecretMissing:
            self._used.discard(portal)
            since = self._registry.missing_since(portal, now)
            taken = since is not None and now - since < self._missed_for
        except HubSpotFailure as failure:
            logger.warning("portal not looked up", portal=portal, error=str(failure))
            return True
        if taken:
            return True
        if len(self._unknown) >= MOST_UNKNOWN:
            self._unknown.clear()
        self._unknown[portal] = now + UNKNOWN
        return False

    def was_used(self, portal: str) -> bool:
        """Whether there ever was such a portal. Raises LedgerUnavailable."""
        return self._registry.knows(portal)

    def use(self, portal: str) -> None:
        """Note that a portal's secret is there and used."""
        try:
            self._note(portal)
        except LedgerUnavailable as error:
            logger.warning("portal not noted", portal=portal, error=str(error))  # the next request tries again

    def without_secret(self, portal: str) -> HubSpotFailure:
        """What follows from it that a portal has no secret: Refused where it never had one; PortalEnded where that has
        been so for too long; before that Misconfigured, so that its requests wait."""
        secret, now = self.secret_name(portal), self._clock()
        self._used.discard(portal)
        try:
            since = self._registry.missing_since(portal, now)
        except LedgerUnavailable as error:
            return Unavailable(f"the secret {secret} is not there, and what was before could not be read: {error}")
        if since is None:
            return Refused(f"there is no portal {portal}: it would be the secret {secret}")
        if now - since >= self._missed_for:
            return PortalEnded(
                f"the portal {portal} has ended: its secret {secret} has been missing since {iso(since)}"
            )
        end = iso(since + self._missed_for)
        return Misconfigured(
            f"the secret {secret} of portal {portal} is not there; what waits for it ends at {end} unless it is back"
        )

    def _note(self, portal: str) -> None:
        if portal not in self._used:
            self._registry.add(portal, self._clock())
            self._used.add(portal)
