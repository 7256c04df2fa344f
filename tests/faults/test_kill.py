"""Workers that die at every point at which they have something to lose: `make kill` does it more often."""

from __future__ import annotations

from batch_create.ports import Point
from tests.e2e.deployed import LocalStack
from tests.faults.kill import Kills, judge
from tests.faults.report import explained

OF_EACH = 2


def test_whoever_takes_over_from_a_dead_worker_ends_its_work_and_sends_nothing_blindly(local: LocalStack) -> None:
    kills = Kills(local, OF_EACH, seed=1)

    evidence = kills.run()

    verdict = judge(kills.kills, evidence)
    assert kills.unverified == 0
    assert not [explained(evidence, one) for one in verdict.violations]
    assert {point: (row["kills"], row["recovered"]) for point, row in verdict.rows.items()} == {
        point.value: (OF_EACH, OF_EACH) for point in Point
    }
    landed_late = verdict.rows[Point.AFTER_SEND.value]
    assert (landed_late["undone"], landed_late["put back"]) == (1, 1)
    for point in (Point.AFTER_ANSWER, Point.BEFORE_SETTLE, Point.AFTER_SETTLE):
        assert verdict.rows[point.value]["creates"] == OF_EACH, f"{point}: sent again after it was answered"
