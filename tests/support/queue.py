"""What SQS does with the messages of a deployment, and what it does not do."""

from __future__ import annotations

from typing import Any

import consumer
from model.errors import QueueUnavailable
from tests.support.aws import Deployment
from tests.support.events import Context, attributes, sqs_event


def consume(message: dict[str, Any]) -> list[dict[str, str]]:
    """Deliver a message of the queue to its consumer, as SQS would."""
    outcome_id = message["MessageAttributes"]["OutcomeId"]["StringValue"]
    record = {"body": message["Body"], "messageAttributes": attributes(OutcomeId=outcome_id)}
    answered: dict[str, list[dict[str, str]]] = consumer.handler(sqs_event(record), Context(time_left=60_000))
    return answered["batchItemFailures"]


def deliver(deployment: Deployment) -> None:
    """Let the consumer have every message that waits in the queue, and finish it."""
    for message in deployment.messages():
        assert consume(message) == []


def takes_nothing(*_: object) -> None:
    """In the place of `Queue.send`, where SQS cannot be reached."""
    raise QueueUnavailable("no queue")
