"""What SQS does with the messages of a deployment, and what it does not do."""

from __future__ import annotations

from typing import Any

import pytest

import consumer
from aws.sqs import Queue
from model.errors import QueueUnavailable
from tests.support.aws import Deployment
from tests.support.events import Context, attributes, sqs_event


def consume(message: dict[str, Any]) -> list[dict[str, str]]:
    """Deliver a message of the queue to its consumer, as SQS would."""
    told = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    record = {"body": message["Body"], "messageAttributes": attributes(**told)}
    answered: dict[str, list[dict[str, str]]] = consumer.handler(sqs_event(record), Context(time_left=60_000))
    return answered["batchItemFailures"]


def deliver(deployment: Deployment) -> None:
    """Let the consumer have every message that waits in the queue, and finish it."""
    for message in deployment.messages():
        assert consume(message) == []


def takes_nothing(patch: pytest.MonkeyPatch) -> None:
    """Let the queue be one that cannot be reached."""

    def unreachable(*_: object) -> None:
        raise QueueUnavailable("no queue")

    patch.setattr(Queue, "_send", unreachable)
    patch.setattr(Queue, "_send_many", lambda self, messages: [False] * len(messages))
