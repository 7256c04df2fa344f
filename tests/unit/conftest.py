from __future__ import annotations

from collections.abc import Iterator

import pytest
from moto import mock_aws

from batch_create.ledger import Ledger
from batch_create.table import Table
from tests.support.aws import REGION, make_ledger
from tests.support.fakes import Clock, FakeHubSpot


@pytest.fixture(autouse=True)
def no_aws_account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "POWERTOOLS_METRICS_NAMESPACE": "tests",
        "POWERTOOLS_SERVICE_NAME": "tests",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def store() -> Iterator[tuple[Ledger, Table]]:
    with mock_aws():
        yield make_ledger()


@pytest.fixture
def ledger(store: tuple[Ledger, Table]) -> Ledger:
    return store[0]


@pytest.fixture
def table(store: tuple[Ledger, Table]) -> Table:
    return store[1]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hubspot() -> FakeHubSpot:
    return FakeHubSpot()
