"""HubSpot's limit on the calls of one portal."""

from __future__ import annotations

from dataclasses import dataclass

WINDOW = 10.0  # seconds; HubSpot's usage guidelines count calls per ten seconds


@dataclass(frozen=True, slots=True)
class Quota:
    """So many calls in so many seconds; `remaining` of them in the current window, where HubSpot says so."""

    calls: int
    seconds: float = WINDOW
    remaining: int | None = None

    @property
    def window(self) -> float:
        """The window in milliseconds."""
        return self.seconds * 1000
