"""The queue: the only way in which a request is tried again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from itertools import islice
from math import ceil
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from model.errors import QueueUnavailable
from model.outcomes import Request
from model.pair import Pair
from runtime.telemetry import count, logger

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

OUTCOME_ID = "OutcomeId"  # message attribute: the outcome that a message continues
VERIFY = "Verify"  # message attribute: the portal and the pair that is to be read, joined by #
LONGEST_DELAY = 900  # seconds; SQS's maximum for a message's DelaySeconds
# Seconds. SQS allows 43,200 in all from the receipt on, and a message has been in a function for up to 15 minutes.
LONGEST_VISIBILITY = 42_000
IN_ONE_CALL = 10  # messages; SQS's maximum


class Queue:
    """Sends requests to the main queue and postpones messages in it. Raises QueueUnavailable, but for `hand_over`."""

    def __init__(self, client: SQSClient, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, request: Request, now: datetime, not_before: datetime | None = None) -> None:
        """Send a request under its outcome's id, to be run at `not_before` or after SQS's longest delay."""
        envelope = replace(request.envelope, idempotency_key=None)
        body = json.dumps(envelope.as_json(), ensure_ascii=False, separators=(",", ":"))
        delay = _seconds(now, not_before or now, LONGEST_DELAY)
        self._send(request.envelope.portal, body, delay, {OUTCOME_ID: request.id})

    def hand_over(self, request: Request, now: datetime, not_before: datetime | None = None) -> None:
        """Send a request that the ledger keeps. If SQS does not take it, the sweep sends it later."""
        try:
            self.send(request, now, not_before)
        except QueueUnavailable as error:
            logger.error("request not queued", outcome_id=request.id, error=str(error))
            count("NotQueued")

    def send_verification(self, portal: str, pair: Pair) -> None:
        """Ask for a reading of a pair."""
        self._send(portal, "a pair to be verified", 0, {VERIFY: f"{portal}#{pair}"})

    def _send(self, portal: str, body: str, delay: int, attributes: Mapping[str, str]) -> None:
        try:
            self._client.send_message(
                QueueUrl=self._url,
                MessageBody=body,
                DelaySeconds=delay,
                MessageGroupId=portal,  # SQS is fair between groups: a busy portal delays no other
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
                },
            )
        except (ClientError, BotoCoreError) as error:
            raise QueueUnavailable(f"the request could not be queued ({type(error).__name__})") from error

    def postpone(self, waiting: Mapping[str, datetime], now: datetime) -> None:
        """Hide received messages, by receipt handle, until their times or as long as SQS allows. Raises only after all
        have been tried."""
        failures: list[str] = []
        hidden = ((handle, _seconds(now, until, LONGEST_VISIBILITY)) for handle, until in waiting.items())
        while chunk := list(islice(hidden, IN_ONE_CALL)):
            try:
                answer = self._client.change_message_visibility_batch(
                    QueueUrl=self._url,
                    Entries=[
                        {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": seconds}
                        for number, (handle, seconds) in enumerate(chunk)
                    ],
                )
            except (ClientError, BotoCoreError) as error:
                failures += [type(error).__name__] * len(chunk)
            else:
                failures += [failed["Code"] for failed in answer.get("Failed", [])]
        if failures:
            codes = ", ".join(sorted({*failures}))
            raise QueueUnavailable(f"{len(failures)} messages could not be postponed ({codes})")


def _seconds(now: datetime, until: datetime, most: int) -> int:
    return max(0, min(most, ceil((until - now).total_seconds())))
