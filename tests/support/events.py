"""Events as AWS delivers them (tests/events), and the context of an invocation."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

EVENTS = Path(__file__).parent.parent / "events"


@dataclass
class Context:
    """The part of Lambda's context that functions read. Time left in milliseconds."""

    aws_request_id: str = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
    function_name: str = "function"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:eu-central-1:123456789012:function:function"
    time_left: int = 29_000

    def get_remaining_time_in_millis(self) -> int:
        return self.time_left


def load(name: str) -> dict[str, Any]:
    """The event of that name."""
    event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return event


def api_event(
    method: str, path: str, *, body: object = None, query: dict[str, str] | None = None, **headers: str | None
) -> dict[str, Any]:
    """A call of the API; headers are given with underscores, and None takes one away."""
    event = load("api_gateway")
    event |= {"httpMethod": method, "path": path, "queryStringParameters": query}
    event["requestContext"]["requestId"] = str(uuid4())
    event["body"] = body if isinstance(body, str) or body is None else json.dumps(body)
    for given, value in headers.items():
        name = given.replace("_", "-")
        event["headers"].pop(name, None)
        event["multiValueHeaders"].pop(name, None)
        if value is not None:
            event["headers"][name] = value
            event["multiValueHeaders"][name] = [value]
    return event


def attributes(**values: str) -> dict[str, Any]:
    """Message attributes as an SQS event has them."""
    return {name: {"stringValue": value, "dataType": "String"} for name, value in values.items()}


def sqs_event(*messages: dict[str, Any]) -> dict[str, Any]:
    """A batch of messages, each given by what differs from the one in the file; `body` may be a value to encode."""
    event = load("sqs")
    (template,) = event["Records"]
    records = []
    for number, message in enumerate(messages):
        record = (
            copy.deepcopy(template) | {"messageId": f"message-{number}", "receiptHandle": f"handle-{number}"} | message
        )
        if not isinstance(record["body"], str):
            record["body"] = json.dumps(record["body"])
        records.append(record)
    return {"Records": records}
