"""A short campaign: what `make campaign` does with thousands of requests."""

from __future__ import annotations

from tests.e2e.deployed import LocalStack
from tests.faults.campaign import campaign
from tests.faults.plan import make
from tests.faults.report import explained

REQUESTS = 150
SECONDS_BETWEEN_KILLS = 3.0


def test_the_same_seed_makes_the_same_plan_and_another_seed_another() -> None:
    assert make(7, 400).digest() == make(7, 400).digest()
    assert make(7, 400).digest() != make(8, 400).digest()
    assert len(make(7, 400).asks) == 400


def test_while_hubspot_misbehaves_and_workers_die_nothing_is_lost_doubled_or_untrue(local: LocalStack) -> None:
    report = campaign(local, seed=7, requests=REQUESTS, mean=SECONDS_BETWEEN_KILLS)

    wrong = [explained(report.evidence, one) for one in report.violations]
    assert not wrong, "\n\n".join(wrong)
    assert report.killed.total() > 0
    assert report.faults.total() > 0
