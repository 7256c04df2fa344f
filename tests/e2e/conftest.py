"""The local stack, really deployed: up for all of these tests, and down again unless it was up before."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.deployed import LocalStack, deployed

FIRES_AFTER = timedelta(seconds=45)


@pytest.fixture(scope="session")
def up() -> Iterator[LocalStack]:
    firing = datetime.now(UTC) + FIRES_AFTER
    with deployed(f"at({firing:%Y-%m-%dT%H:%M:%S})") as local:
        # What the schedule sends must not count among the calls of a test, nor take the fault that is meant for one.
        local.final(local.scheduled()["id"])
        yield local


@pytest.fixture
def local(up: LocalStack) -> Iterator[LocalStack]:
    """The stack, with a stand-in that nobody has told to misbehave."""
    up.standin("DELETE", "faults")
    yield up
    up.standin("DELETE", "faults")
