"""A short run of the fuzzing; `make fuzz` runs long ones."""

from __future__ import annotations

import pytest

from tests.fuzz.doors import DOORS, fuzz

EXAMPLES = 300


@pytest.mark.parametrize("name", DOORS)
def test_nothing_that_comes_in_at_a_door_does_harm(name: str) -> None:
    counted = fuzz(DOORS[name], EXAMPLES, first=1)

    assert counted.total() >= EXAMPLES / 2  # where there are fewer, hypothesis has run out of ideas
    assert len(counted) > 1  # else everything is turned away at once, and nothing behind is tried
