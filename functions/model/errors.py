"""What can go wrong between us, HubSpot and AWS, typed by what the caller does next."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from model.quota import Quota

Failure = TypeVar("Failure", bound="HubSpotFailure")


@dataclass(eq=False, repr=False)
class HubSpotFailure(Exception):
    """A call without a usable answer. It carries HubSpot's status, body and correlation id where there was an answer.

    `retry_after` is in seconds, where HubSpot or its documentation names a time to wait. `daily` means that the
    account's calls of the day are used up. `portal_wide` means that any other call for the portal would fail alike.
    """

    message: str
    _: KW_ONLY
    http_status: int | None = None
    body: str | None = None
    correlation_id: str | None = None
    retry_after: float | None = None
    daily: bool = False
    portal_wide: bool = False
    quota: Quota | None = None

    def __str__(self) -> str:
        return self.message

    def restated(self, kind: type[Failure], message: str) -> Failure:
        """Another failure because of this one: with its times to wait, but without HubSpot's status and body."""
        return kind(
            message,
            correlation_id=self.correlation_id,
            retry_after=self.retry_after,
            daily=self.daily,
            portal_wide=self.portal_wide,
        )


class Refused(HubSpotFailure):
    """HubSpot will never take this call as it is: reject its inputs with HubSpot's words."""


class Misconfigured(HubSpotFailure):
    """The portal's secret, scopes or base URL are at fault. Nothing was applied, and the owner must mend it."""


class SecretMissing(Misconfigured):
    """There is no secret of that name."""


class PortalEnded(HubSpotFailure):
    """The portal's owner has ended it. Nothing was applied, and what is open for it ends."""


class Unavailable(HubSpotFailure):
    """Nothing was applied and a later call can succeed: defer."""


class QuotaExhausted(Unavailable):
    """HubSpot's quota has no room before a deadline. Nothing was sent, and this is not a failed try."""


class OutOfTime(Unavailable):
    """This invocation had no time left. Nothing was sent, and this says nothing about HubSpot."""


class Uncertain(HubSpotFailure):
    """It may have been applied: read the pair back before deciding anything."""


class LedgerUnavailable(Exception):
    """The ledger could not be reached. Nothing may be claimed or reported as done."""


class LeaseLost(Exception):
    """Another worker has taken over this outcome: only what that worker writes counts."""


class QueueUnavailable(Exception):
    """A request could not be handed to the queue."""
