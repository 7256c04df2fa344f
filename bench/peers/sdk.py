"""The plainest handler on HubSpot's official `hubspot-sdk`: Powertools' batch processor, one call for each message."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from hubspot_sdk import HubSpot

from bench.peers import store

logger = Logger(service="limits")
processor = BatchProcessor(event_type=EventType.SQS)


@cache
def client() -> HubSpot:
    """The one client, with the SDK's own retries and timeouts."""
    return HubSpot(access_token=store.token(), base_url=os.environ["HUBSPOT_BASE_URL"])


def set_limits(record: SQSRecord) -> None:
    """Set the limits that a message asks for, and keep the answer."""
    request = record.json_body
    inputs = [
        {"category": asked["category"], "type_id": asked["typeId"], "max_to_object_ids": asked["maxToObjectIds"]}
        for asked in request["inputs"]
    ]
    answer = client().crm.associations_schema.labels.batch_create(
        request["toObjectType"], from_object_type=request["fromObjectType"], inputs=inputs
    )
    store.record(record.message_id, request, answer.status, answer.to_json(indent=None))
    logger.info("limits set", message_id=record.message_id, status=answer.status)


def handler(event: dict[str, Any], context: Any) -> Any:
    """Run every message of the batch; those that fail come back."""
    return process_partial_response(event=event, record_handler=set_limits, processor=processor, context=context)
