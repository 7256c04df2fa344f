"""Short runs of the simulation; `make simulate` runs long ones."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.simulation.bugs import BUGS, planted
from tests.simulation.run import ROOT, simulate

SEEDS = 30
WITHIN = 100  # seeds, in which every planted bug must be found
ENOUGH = 2 * 86_400  # seconds of virtual time: what a bug keeps from its end would take 20 days, and minutes here
# Each of these went wrong once: the seed, and how many requests it had. A seed plays another story once the code has
# changed; those that take longest are left out where the fault has a unit test.
REGRESSIONS = [
    *[(3, 80), (5, 80), (15, 10), (75, 80), (941, 100), (1487, 100), (1767, 100), (100547, 100), (200093, 60)],
    *[(300670, 30), (400319, 100), (400244, 100), (400826, 100), (400882, 100), (401003, 100), (401308, 100)],
    *[(401036, 100), (410213, 100), (411710, 100), (420660, 100)],
]


@pytest.mark.parametrize("seed", range(1, SEEDS + 1))
def test_whatever_happens_the_ledger_is_right(seed: int) -> None:
    _, report = simulate(seed, 40)

    assert report.violations == []


@pytest.mark.parametrize(("seed", "requests"), REGRESSIONS)
def test_what_went_wrong_once_is_right_now(seed: int, requests: int) -> None:
    _, report = simulate(seed, requests)

    assert report.violations == []


def test_the_same_seed_is_the_same_run_step_by_step_whatever_order_sets_have() -> None:
    code = "from tests.simulation.run import simulate; print(simulate(4, 60)[0].world.fingerprint)"
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": f"functions{os.pathsep}."},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]

    assert runs[0] == runs[1]


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_found(name: str) -> None:
    _, quick, requests = BUGS[name]

    def wrong(seed: int) -> bool:
        return bool(simulate(seed, requests, receives=120, longest=ENOUGH)[1].violations)

    def found(seed: int) -> bool:
        with planted(name):
            with_it = wrong(seed)
        return with_it and not wrong(seed)  # so it was the bug

    assert any(found(seed) for seed in (quick, *range(1, WITHIN + 1)))
