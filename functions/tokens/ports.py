"""What this package needs of its neighbours: Protocols only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from model.access_token import RefreshedToken


class OAuthPort(Protocol):
    """HubSpot's tokens and accounts, as `hubspot_api.client.HubSpot` reaches them."""

    def refresh(
        self, client_id: str, client_secret: str, refresh_token: str, api_version: str, seconds: float
    ) -> RefreshedToken: ...
    def hub_id(self, token: str, api_version: str, seconds: float) -> int: ...


class SlotPort(Protocol):
    """Slots of the shared quota, as `quota.shared_quota.SharedQuota` hands them out."""

    def reserve(self, portal: str, *, ahead: int, urgent: bool, until: datetime) -> None: ...


class RegistryPort(Protocol):
    """The portals that have been used, as `ledger.portals.PortalRegistry` keeps them."""

    def add(self, portal: str, now: datetime) -> None: ...
    def knows(self, portal: str) -> bool: ...
    def missing_since(self, portal: str, now: datetime) -> datetime | None: ...
