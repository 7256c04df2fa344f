from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from aws.dynamodb import Table
from tests.support.aws import make_tokens_table
from tests.support.fakes import Clock
from tests.support.tokens import Lines, Scene, logged_lines

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_secretsmanager import SecretsManagerClient


@pytest.fixture
def table(aws: tuple[DynamoDBClient, object, object]) -> Table:
    name = f"tokens-{uuid4().hex}"
    make_tokens_table(aws[0], name)
    return Table(aws[0], name)


@pytest.fixture
def scene(aws: tuple[object, object, SecretsManagerClient], table: Table, clock: Clock) -> Scene:
    return Scene(aws[2], table, clock)


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Lines:
    return logged_lines(monkeypatch)
