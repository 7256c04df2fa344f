"""The result of a refresh of an OAuth access token."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RefreshedToken:
    """A refresh that HubSpot granted: a new access token, its life in seconds, and the refresh token if replaced."""

    access_token: str = field(repr=False)
    expires_in: float
    refresh_token: str | None = field(default=None, repr=False)
