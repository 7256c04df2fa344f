from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

# Powertools reads these when it is imported, which is before any fixture, and whichever test comes first.
os.environ.update(POWERTOOLS_METRICS_NAMESPACE="tests", POWERTOOLS_SERVICE_NAME="tests")

# How long an example takes is measured by `make bench`; here it depends on what else the machine does.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# What shares something that is dear to make is run by one worker of `make test`.
SHARED = {"tests/e2e/": "deployed", "tests/faults/": "deployed", "tests/infra/": "synthesised"}


class Scheduling(LoadScopeScheduling):  # type: ignore[misc] # pytest-xdist has no types
    """Gives each worker whole files, or all that shares something; of the simulation single tests, which take long.

    pytest-xdist's own way, the mark xdist_group, does nothing under pytest 9.2 (pytest-xdist 3.8.0).
    """

    def _split_scope(self, nodeid: str) -> str:
        for folder, shared in SHARED.items():
            if nodeid.startswith(folder):
                return shared
        return nodeid if nodeid.startswith("tests/simulation/") else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    return Scheduling(config, log)
