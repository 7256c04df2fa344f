"""The deployment's resources in moto, which answers inside this process: no socket is opened."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest.mock import patch
from uuid import uuid4

import boto3
from botocore.client import BaseClient

from tests.support.partiql import execute

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_secretsmanager import SecretsManagerClient
    from types_boto3_sqs import SQSClient

REGION = "eu-central-1"
PREFIX = "hubspot-association-limits/portals"
CLIENTS = "hubspot-association-limits/clients"
ACCOUNT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass(frozen=True)
class Deployment:
    """Names and clients of one test's own resources."""

    dynamodb: DynamoDBClient
    sqs: SQSClient
    secrets: SecretsManagerClient
    table: str
    queue_url: str

    @property
    def environment(self) -> dict[str, str]:
        """What infra/ gives the functions."""
        return {
            "HUBSPOT_BASE_URL": "https://hubspot.test",
            "HUBSPOT_API_VERSIONS": "2026-03,2026-09",
            "PORTALS": "default,acme",
            "TOKEN_SECRET_PREFIX": PREFIX,
            "OUTCOMES_TABLE": self.table,
            "ACCESS_TOKENS_TABLE": f"{self.table}-tokens",
            "OUTCOME_RETENTION_DAYS": "400",
            "BATCH_SIZE": "100",
            "QUOTA_CALLS": "100",
            "HEAD_ROOM": "0.03",
            "QUEUE_URL": self.queue_url,
            "PORTAL_TIME_ZONES": "default=Europe/Berlin",
            "CLIENTS_SECRET": CLIENTS,
        }

    def messages(self) -> list[Any]:
        """The messages that wait in the queue, delayed ones excepted."""
        answer = self.sqs.receive_message(
            QueueUrl=self.queue_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], VisibilityTimeout=0
        )
        return list(answer.get("Messages", []))


def client(name: str, /, **entry: object) -> dict[str, object]:
    """A client as the secret tells of it, whose key is its name followed by `-key`. It may do everything."""
    known = hashlib.sha256(f"{name}-key".encode()).hexdigest()
    return {"name": name, "keySha256": [known], "portals": ["*"], "mayReplay": True, **entry}


def clients_secret(*entries: dict[str, object]) -> str:
    """The secret of these clients, as a deployment and its owner leave it."""
    return json.dumps({"clients": entries, "placeholder": "made by the deployment"})


def deploy(dynamodb: DynamoDBClient, sqs: SQSClient, secrets: SecretsManagerClient) -> Deployment:
    """A table and a queue of their own, and the secrets, which all tests share."""
    name = f"test-{uuid4().hex}"
    make_table(dynamodb, name)
    return Deployment(dynamodb, sqs, secrets, name, sqs.create_queue(QueueName=name)["QueueUrl"])


ROLE = "arn:aws:iam::123456789012:role/crm"
# `guest` may use some object types, and may not replay. `slow` may ask twice a minute, `role` only where IAM decides.
KNOWN = (
    client("crm"),
    client("sales", portals=["acme"]),
    client("guest", objectTypes=["deals", "contacts", "p_boat"], mayReplay=False),
    client("slow", requestsPerMinute=2),
    client("role", keySha256=[], principals=[ROLE]),
)


def make_secrets(secrets: SecretsManagerClient) -> None:
    secrets.create_secret(Name=f"{PREFIX}/default", SecretString="token-default")
    secrets.create_secret(Name=f"{PREFIX}/acme", SecretString='{"accessToken": "token-acme"}')
    secrets.create_secret(Name=CLIENTS, SecretString=clients_secret(*KNOWN))


def clients() -> tuple[DynamoDBClient, SQSClient, SecretsManagerClient]:
    return (
        boto3.client("dynamodb", region_name=REGION),
        boto3.client("sqs", region_name=REGION),
        boto3.client("secretsmanager", region_name=REGION),
    )


@contextmanager
def partiql() -> Iterator[None]:
    """Let moto carry out the ledger's statements. Moto's documentation patches here what moto has not."""
    call = BaseClient._make_api_call  # type: ignore[attr-defined] # no stub has it

    def called(client: Any, operation: str, arguments: Any) -> Any:
        if operation == "BatchExecuteStatement":
            return execute(arguments["Statements"], client.put_item, client.update_item)
        return call(client, operation, arguments)

    with patch.object(BaseClient, "_make_api_call", called):
        yield


def make_tokens_table(dynamodb: DynamoDBClient, name: str) -> None:
    """The table of access tokens as infra/storage.py defines it."""
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )


def make_table(dynamodb: DynamoDBClient, name: str) -> None:
    """The table as infra/storage.py defines it."""
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[
            {"AttributeName": attribute, "AttributeType": "S"}
            for attribute in ("id", "pairKey", "statusKey", "sortKey", "dueKey", "dueSort")
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": index,
                "KeySchema": [
                    {"AttributeName": partition, "KeyType": "HASH"},
                    {"AttributeName": sort, "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
            for index, partition, sort in (
                ("by-pair", "pairKey", "sortKey"),
                ("by-status", "statusKey", "sortKey"),
                ("by-due", "dueKey", "dueSort"),
            )
        ],
    )
