"""The deployed stack for tests of faults: the one that is up, or one of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.deployed import LocalStack, deployed


@pytest.fixture(scope="session")
def up() -> Iterator[LocalStack]:
    with deployed() as local:
        yield local


@pytest.fixture
def local(up: LocalStack) -> Iterator[LocalStack]:
    """The stack, with a stand-in that behaves and is as it was made again afterwards."""
    yield up
    for what in ("faults", "state"):
        up.standin("DELETE", what)
    up.standin("PUT", "settings", {})
