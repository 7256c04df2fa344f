"""What can go wrong between us, HubSpot and AWS, typed by what the caller does next."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from model.quota import Quota


class HubSpotFailure(Exception):
    """A call that brought no usable answer. Carries what HubSpot said, as far as it said anything.

    `retry_after` is in seconds, where HubSpot or its documentation names a time to wait. `daily` means that the
    account's calls of the day are used up. `portal_wide` means that any other call for the portal would fail alike.
    """

    def __init__(
        self,
        message: str,
        *,
        http_status: int | None = None,
        body: str | None = None,
        correlation_id: str | None = None,
        retry_after: float | None = None,
        daily: bool = False,
        portal_wide: bool = False,
        quota: Quota | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.http_status = http_status
        self.body = body
        self.correlation_id = correlation_id
        self.retry_after = retry_after
        self.daily = daily
        self.portal_wide = portal_wide
        self.quota = quota

    def __str__(self) -> str:
        return self.message


class Refused(HubSpotFailure):
    """HubSpot will never take this call as it is: reject its inputs with HubSpot's words."""


class Misconfigured(HubSpotFailure):
    """The portal's secret, scopes or base URL are at fault: nothing was applied, and the owner must mend it."""


class Unavailable(HubSpotFailure):
    """Nothing was applied and a later call can succeed: defer."""


class QuotaExhausted(Unavailable):
    """HubSpot's quota has no room before a deadline: nothing was sent, and it is no failed try."""


class OutOfTime(Unavailable):
    """No time was left in this invocation: nothing was sent, and it says nothing of HubSpot."""


class Uncertain(HubSpotFailure):
    """It may have been applied: read the pair back before deciding anything."""


class LedgerUnavailable(Exception):
    """The ledger could not be reached. Nothing may be claimed or reported as done."""


class LeaseLost(Exception):
    """Another worker has taken this outcome over; what it writes counts and what we know does not."""


class QueueUnavailable(Exception):
    """A request could not be handed to the queue."""
