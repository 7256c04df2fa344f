"""What a check finds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Violation:
    """Something that must not be: of what kind (lost, doubled, disagreement, unfinished), of which outcome, how, and
    which other outcome it has to do with."""

    kind: str
    outcome_id: str
    what: str
    other: str = ""
