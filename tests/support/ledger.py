"""What a ledger says of a request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aws.dynamodb import Item, Table
from ledger.ledger import Ledger
from model.outcomes import Outcome, Result


def read(ledger: Ledger, outcome_id: str) -> Outcome:
    outcome = ledger.get(outcome_id)
    assert outcome is not None
    return outcome


def results(outcome: Outcome) -> list[Result]:
    return [item.result for item in outcome.inputs]


class Lagging(Table):
    """A table whose index still shows as RUNNING what is REJECTED."""

    def query(self, index: str, partition: tuple[str, str], *rest: Any, **named: Any) -> Iterator[Item]:
        attribute, value = partition
        return super().query(index, (attribute, value.replace("RUNNING", "REJECTED")), *rest, **named)
