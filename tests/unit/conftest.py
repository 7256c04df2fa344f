from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from moto import mock_aws

from batch_create import ports
from batch_create.ledger import Ledger
from batch_create.table import Table
from tests.support.aws import ACCOUNT, Deployment, clients, deploy, make_secrets
from tests.support.fakes import Clock, FakeHubSpot

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_secretsmanager import SecretsManagerClient
    from types_boto3_sqs import SQSClient

os.environ.update(ACCOUNT)  # before anything asks for an account: no test may find a real one


@pytest.fixture(scope="session")
def aws() -> Iterator[tuple[DynamoDBClient, SQSClient, SecretsManagerClient]]:
    with mock_aws():
        made = clients()
        make_secrets(made[2])
        yield made


@pytest.fixture
def deployment(aws: tuple[DynamoDBClient, SQSClient, SecretsManagerClient]) -> Deployment:
    return deploy(*aws)


@pytest.fixture
def table(deployment: Deployment) -> Table:
    return Table(deployment.dynamodb, deployment.table)


@pytest.fixture
def ledger(table: Table) -> Ledger:
    return Ledger(table, timedelta(days=400))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hubspot() -> FakeHubSpot:
    return FakeHubSpot()


@pytest.fixture
def functions(deployment: Deployment, hubspot: FakeHubSpot, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    """The functions' own environment, with HubSpot behind it replaced by the fake."""
    for name, value in deployment.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(ports, "HubSpot", lambda base_url: hubspot)
    made_once = (
        ports.settings,
        ports.secret_store,
        ports.ledger,
        ports.history,
        ports.queue,
        ports.production,
        ports._table,
    )
    for port in made_once:
        port.cache_clear()
    yield deployment
    for port in made_once:
        port.cache_clear()
