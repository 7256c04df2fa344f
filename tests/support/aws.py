"""The deployment's resources in moto, which answers inside this process: no socket is opened."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import boto3

from batch_create.ledger import Ledger
from batch_create.table import Table

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

TABLE = "outcomes"
REGION = "eu-central-1"


def make_table(client: DynamoDBClient) -> None:
    """The table as infra/storage.py defines it."""
    keys_only: Any = {"ProjectionType": "KEYS_ONLY"}
    attributes = ("id", "pairKey", "statusKey", "sortKey")
    client.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in attributes],
        GlobalSecondaryIndexes=[
            {
                "IndexName": name,
                "KeySchema": [
                    {"AttributeName": partition, "KeyType": "HASH"},
                    {"AttributeName": "sortKey", "KeyType": "RANGE"},
                ],
                "Projection": keys_only,
            }
            for name, partition in (("by-pair", "pairKey"), ("by-status", "statusKey"))
        ],
    )


def make_ledger() -> tuple[Ledger, Table]:
    client = boto3.client("dynamodb", region_name=REGION)
    make_table(client)
    table = Table(client, TABLE)
    return Ledger(table, timedelta(days=400)), table
