"""What Lambda's SnapStart keeps of a function is what its import has made: nothing secret, nothing of a moment."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

import production
from tests.unit.test_imports import FORBIDDEN, FUNCTIONS

# Says what an import has cached in our own modules. A client, a token or a setting is made by a cached function.
CACHED = """
import sys, {entry_point}
ours = [module for module in sys.modules.values() if (getattr(module, "__file__", None) or "").startswith({root!r})]
made = [value for module in ours for value in vars(module).values() if hasattr(value, "cache_info")]
assert made, "nothing was looked at"
print(*(value.__name__ for value in made if value.cache_info().currsize))
"""


@pytest.mark.parametrize("entry_point", FORBIDDEN)
def test_an_import_needs_no_environment_and_makes_neither_clients_nor_settings(entry_point: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CACHED.format(entry_point=entry_point, root=str(FUNCTIONS))],
        env={"PYTHONPATH": str(FUNCTIONS)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == ""


def test_environments_of_one_snapshot_do_not_wait_for_the_same_pauses() -> None:
    def first_pause() -> float:
        random.seed(1)  # the state that the snapshot holds
        production.session.cache_clear()
        production.session()
        return random.random()

    assert first_pause() != first_pause()
    production.session.cache_clear()
