"""What a ledger says of a request."""

from __future__ import annotations

from ledger.ledger import Ledger
from model.outcomes import Outcome, Result


def read(ledger: Ledger, outcome_id: str) -> Outcome:
    outcome = ledger.get(outcome_id)
    assert outcome is not None
    return outcome


def results(outcome: Outcome) -> list[Result]:
    return [item.result for item in outcome.inputs]
