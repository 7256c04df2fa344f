"""What HubSpot tells of an account."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from local.hubspot.settings import Settings


def account_details(hub_id: int, settings: Settings) -> dict[str, object]:
    """The details of an account, its time zone that of `utcOffsetMinutes`; the rest is the same for all."""
    minutes = settings.utc_offset_minutes
    return {
        "portalId": hub_id,
        "accountType": "STANDARD",
        "timeZone": _time_zone(minutes),
        "companyCurrency": "USD",
        "additionalCurrencies": [],
        "utcOffset": _written(minutes),
        "utcOffsetMilliseconds": minutes * 60_000,
        "uiDomain": "app.hubspot.com",
        "dataHostingLocation": "na1",
    }


def _written(minutes: int) -> str:
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def _time_zone(minutes: int) -> str:
    """A zone that has this offset all year. IANA names only those of whole hours, and counts them westwards."""
    if minutes == 0:
        return "Etc/UTC"
    hours, rest = divmod(minutes, 60)
    return f"GMT{_written(minutes)}" if rest else f"Etc/GMT{-hours:+}"
