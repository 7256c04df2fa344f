"""The plainest handler on the older `hubspot-api-client`. Its method for this operation calls version 4 of the path, so
it takes the way that the SDK's README shows for paths it does not wrap."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from hubspot import HubSpot

from bench.peers import store

PATH = "/crm/associations/2026-03/definitions/configurations/{fromObjectType}/{toObjectType}/batch/create"

logger = Logger(service="limits")
processor = BatchProcessor(event_type=EventType.SQS)


@cache
def client() -> HubSpot:
    """The one client; this SDK retries nothing unless told to."""
    return HubSpot(access_token=store.token(), base_url=os.environ["HUBSPOT_BASE_URL"])


def set_limits(record: SQSRecord) -> None:
    """Set the limits that a message asks for, and keep the answer."""
    request = record.json_body
    options = {"method": "POST", "path": PATH.format(**request), "body": {"inputs": request["inputs"]}}
    answer = client().api_request(options)
    answer.raise_for_status()
    status = answer.json()["status"]
    store.record(record.message_id, request, status, answer.text)
    logger.info("limits set", message_id=record.message_id, status=status)


def handler(event: dict[str, Any], context: Any) -> Any:
    """Run every message of the batch; those that fail come back."""
    return process_partial_response(event=event, record_handler=set_limits, processor=processor, context=context)
