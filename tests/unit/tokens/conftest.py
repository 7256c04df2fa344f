from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from aws.dynamodb import Table
from tests.support.fakes import Clock
from tests.support.tokens import Lines, Scene, logged_lines

if TYPE_CHECKING:
    from types_boto3_secretsmanager import SecretsManagerClient


@pytest.fixture
def scene(aws: tuple[object, object, SecretsManagerClient], table: Table, clock: Clock) -> Scene:
    return Scene(aws[2], table, clock)


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Lines:
    return logged_lines(monkeypatch)
