"""The memory of what HubSpot has just refused, so that a burst of requests does not ask it the same again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from model.errors import HubSpotFailure, Misconfigured

# The longest memory: an unchanged secret will be refused again, but its owner may have mended something else.
LONGEST = timedelta(seconds=30)
PASSING = timedelta(seconds=3)  # for a failure that names no time to wait


class RefusalCache:
    """The last refusal of each portal, true for one version of its secret."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._known: dict[str, tuple[str, datetime, HubSpotFailure]] = {}  # version, until, failure

    def add(self, portal: str, version: str, failure: HubSpotFailure) -> None:
        """Remember a failure of this version of the portal's secret."""
        memory = LONGEST
        if not isinstance(failure, Misconfigured):
            memory = min(LONGEST, timedelta(seconds=failure.retry_after or 0) or PASSING)
        self._known[portal] = version, self._clock() + memory, failure

    def doubts(self, portal: str) -> bool:
        """Whether the portal's secret may have been mended, so that it must be read anew."""
        return portal in self._known

    def of(self, portal: str, version: str) -> HubSpotFailure | None:
        """The failure to expect from this version of the portal's secret. What is over is forgotten."""
        if portal not in self._known:
            return None
        refused_version, until, failure = self._known[portal]
        if refused_version != version or self._clock() >= until:
            self._known.pop(portal, None)
            return None
        # A new one each time: threads that raise the same one would mix up its changes and its traceback.
        return failure.restated(type(failure), failure.message)
