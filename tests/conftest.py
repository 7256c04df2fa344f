from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Powertools reads these when it is imported, which is before any fixture, and whichever test comes first.
os.environ.update(POWERTOOLS_METRICS_NAMESPACE="tests", POWERTOOLS_SERVICE_NAME="tests")

# How long an example takes is measured by `make bench`; here it depends on what else the machine does.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# What shares something that is dear to make is run by one worker of `make test`.
SHARED = {"e2e": "deployed", "faults": "deployed", "infra": "synthesised"}


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the marker
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        path = item.path.relative_to(Path(__file__).parent)
        # The simulation's seeds take long and share nothing.
        group = SHARED.get(path.parts[0]) or (item.name if path.parts[0] == "simulation" else str(path))
        item.add_marker(pytest.mark.xdist_group(group))
