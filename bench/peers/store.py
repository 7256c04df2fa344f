"""The secret and the ledger of the handlers on an SDK, by boto3: read once, and written once for each message."""

from __future__ import annotations

import json
import os
from functools import cache
from typing import Any

import boto3

secrets: Any = boto3.client("secretsmanager")
dynamodb: Any = boto3.client("dynamodb")


@cache
def token() -> str:
    """The HubSpot token."""
    return str(secrets.get_secret_value(SecretId=os.environ["TOKEN_SECRET"])["SecretString"])


def record(message_id: str, request: dict[str, Any], status: str, answer: str) -> None:
    """Keep what HubSpot answered to a message."""
    dynamodb.put_item(
        TableName=os.environ["OUTCOMES_TABLE"],
        Item={
            "id": {"S": message_id},
            "pair": {"S": f"{request['fromObjectType']}#{request['toObjectType']}"},
            "inputs": {"S": json.dumps(request["inputs"])},
            "status": {"S": status},
            "answer": {"S": answer},
        },
    )
