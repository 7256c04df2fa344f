from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import pytest_socket
from moto import mock_aws

import consumer
import dead_letters
import dispatcher
import production
import scheduled
import sweep
import webhook
from aws.dynamodb import Table
from hubspot_api import client
from ledger.ledger import Ledger
from tests.support.aws import ACCOUNT, Deployment, clients, deploy, make_secrets, partiql
from tests.support.fakes import Clock, FakeHubSpot, FakeQueue
from tests.support.vault import Vault

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_secretsmanager import SecretsManagerClient
    from types_boto3_sqs import SQSClient

TELL_THE_TIME = (production, webhook, consumer, scheduled, dead_letters, sweep, dispatcher)


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test here finds a real account, or anybody on the network."""
    for name, value in ACCOUNT.items():
        monkeypatch.setenv(name, value)
    pytest_socket.disable_socket(allow_unix_socket=True)  # event loops wake themselves through one
    yield
    pytest_socket.enable_socket()


@pytest.fixture(scope="package")
def aws() -> Iterator[tuple[DynamoDBClient, SQSClient, SecretsManagerClient]]:
    with mock_aws(), partiql():
        made = clients()
        make_secrets(made[2])
        yield made


@pytest.fixture
def vault(aws: tuple[object, object, SecretsManagerClient], clock: Clock) -> Vault:
    return Vault(aws[2], clock)


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
def fake_queue(monkeypatch: pytest.MonkeyPatch) -> FakeQueue:
    made = FakeQueue()
    for module in (consumer, dead_letters):
        monkeypatch.setattr(module, "queue", lambda: made)
    return made


@pytest.fixture
def functions(
    deployment: Deployment, hubspot: FakeHubSpot, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Deployment]:
    """The functions' own environment, with HubSpot behind it and the time around it replaced by fakes."""
    for name, value in deployment.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(client, "HubSpot", lambda base_url: hubspot)
    monkeypatch.setattr(production, "sleep", clock.advance)
    for module in TELL_THE_TIME:
        monkeypatch.setattr(module, "now", clock)
    made_once = (
        production.settings,
        production.secret_store,
        production.ledger,
        production.leases,
        production.gates,
        production.history,
        production.queue,
        production.authentication,
        production.portals,
        production.portal_registry,
        production.production,
        production.object_types,
        production._table,
        production._dynamodb,
        production.session,
    )
    for port in made_once:
        port.cache_clear()
    yield deployment
    for port in made_once:
        port.cache_clear()
