"""The same message delivered to two workers at the same moment: `make twice` does it more often."""

from __future__ import annotations

from tests.e2e.deployed import LocalStack
from tests.faults.report import explained
from tests.faults.twice import twice

MESSAGES = 100


def test_two_deliveries_at_once_end_in_one_outcome_and_one_call(local: LocalStack) -> None:
    result = twice(local, MESSAGES, seed=1)

    assert not [explained(result.evidence, one) for one in result.violations]
    figures = result.figures()
    assert figures["outcomes"] == {"COMPLETE": MESSAGES}
    assert figures["numbers sent again"] <= figures["uncertain answers"]
