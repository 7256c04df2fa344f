"""Access tokens of OAuth apps: what a refresh brings, and what is kept of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class RefreshedToken:
    """A refresh that HubSpot granted: a new access token, its life in seconds, and the refresh token if replaced."""

    access_token: str = field(repr=False)
    expires_in: float
    refresh_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token, good until `ends_at` after a life of `life` seconds. `grants` are digests of what it belongs to:
    of the secret it was asked for with and, where HubSpot replaced the refresh token, of the secret after that."""

    text: str = field(repr=False)
    ends_at: datetime
    life: int
    grants: tuple[str, ...]

    @property
    def rotates(self) -> bool:
        """Whether HubSpot replaced the refresh token."""
        return len(self.grants) > 1
