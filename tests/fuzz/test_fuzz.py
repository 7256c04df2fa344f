"""A short run of the fuzzing; `make fuzz` runs long ones."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from local.processes import ROOT
from tests.fuzz.doors import DOORS, fuzz

EXAMPLES = 300


@pytest.mark.parametrize("name", DOORS)
def test_nothing_that_comes_in_at_a_door_does_harm(name: str) -> None:
    counted = fuzz(DOORS[name], EXAMPLES, first=1)

    assert counted.total() >= EXAMPLES / 2  # where there are fewer, hypothesis has run out of ideas
    assert len(counted) > 1  # else everything is turned away at once, and nothing behind is tried


def test_the_command_tells_what_became_of_the_inputs_of_each_door() -> None:
    command = [sys.executable, "-m", "tests.fuzz", "--inputs", "42"]
    environment = os.environ | {"PYTHONPATH": "functions"}

    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)

    assert {line.split()[0]: int(line.split()[1]) for line in done.stdout.splitlines()[1:5]} == {
        "webhook": 11,
        "queue": 11,
        "schedule": 10,
        "hubspot": 10,
    }
