"""Waiting within a run: a little, where there is time for it."""

from __future__ import annotations

from datetime import datetime

from batch_create.dependencies import Dependencies

LONGEST_WAIT = 5.0  # seconds that one run waits in all; longer waits cost less in the queue than in a function
CALL_SECONDS = 4.0  # left after a wait, or it was for nothing


class WaitBudget:
    """What a run that ends at `deadline` has left for waiting."""

    def __init__(self, deps: Dependencies, deadline: datetime) -> None:
        self._deps = deps
        self._deadline = deadline
        self._left = LONGEST_WAIT

    def wait(self, seconds: float) -> bool:
        """Wait so long, if patience and the remaining time allow it; whether they did."""
        remaining = (self._deadline - self._deps.clock()).total_seconds() - CALL_SECONDS
        if seconds > min(self._left, remaining):
            return False
        self._left -= seconds
        self._deps.sleep(seconds)
        return True
