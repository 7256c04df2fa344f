"""The memory of what HubSpot has just refused, so that a burst of requests does not ask it the same again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from model.errors import HubSpotFailure, Misconfigured

# At most; as long as nobody changes the secret the answer to a refusal stays, and a waiting time is asked for again.
LONGEST = timedelta(seconds=30)
PASSING = timedelta(seconds=3)  # of a failure that names no time to wait


@dataclass(frozen=True)
class _Refusal:
    version: str
    until: datetime
    failure: HubSpotFailure


class RefusalCache:
    """The last refusal of each portal, true of one version of its secret."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._known: dict[str, _Refusal] = {}

    def add(self, portal: str, version: str, failure: HubSpotFailure) -> None:
        """Remember a failure to which this version of the portal's secret has led."""
        held = LONGEST
        if not isinstance(failure, Misconfigured):
            held = min(LONGEST, timedelta(seconds=failure.retry_after or 0) or PASSING)
        self._known[portal] = _Refusal(version, self._clock() + held, failure)

    def doubts(self, portal: str) -> bool:
        """Whether the portal's secret may have to be mended, so that no old memory of it will do."""
        return portal in self._known

    def of(self, portal: str, version: str) -> HubSpotFailure | None:
        """The failure to expect from this version of the portal's secret. What is over is forgotten."""
        known = self._known.get(portal)
        if known is None:
            return None
        if known.version != version or self._clock() >= known.until:
            self._known.pop(portal, None)
            return None
        failure = known.failure
        # A new one each time: threads that raise the same one mix up what it says and where it was raised.
        return type(failure)(
            failure.message, correlation_id=failure.correlation_id, retry_after=failure.retry_after, daily=failure.daily
        )
