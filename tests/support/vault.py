"""Secrets of one test."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from aws.secrets_manager import SecretStore
from tests.support.fakes import Clock

if TYPE_CHECKING:
    from types_boto3_secretsmanager import SecretsManagerClient


class Vault:
    """Secrets by name, for one test."""

    def __init__(self, client: SecretsManagerClient, clock: Clock) -> None:
        self.client = client
        self.prefix = uuid4().hex
        self.store = SecretStore(client, clock)

    def put(self, name: str, text: str) -> str:
        full = f"{self.prefix}/{name}"
        try:
            self.client.put_secret_value(SecretId=full, SecretString=text)
        except self.client.exceptions.ResourceNotFoundException:
            self.client.create_secret(Name=full, SecretString=text)
        return full
