"""A request for one limit, and what became of it."""

from __future__ import annotations

from model.outcomes import Outcome, Result
from tests.support.fakes import request

ASKED = request("m-1", (3, 5))
SHORT = 7.0  # seconds of a run that has the time for a call and none to wait


def only(outcome: Outcome) -> tuple[Result, str | None]:
    """What became of an outcome's one input."""
    (item,) = outcome.inputs
    return item.result, item.message
