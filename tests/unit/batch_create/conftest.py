"""The real ledger, over a table in memory."""

from __future__ import annotations

import pytest

from aws.dynamodb import Table
from tests.support.fakes import (
    Clock,
    in_memory,
)


@pytest.fixture
def table(clock: Clock) -> Table:
    return in_memory(clock)
