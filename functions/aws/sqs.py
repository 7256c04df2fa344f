"""The queue: the only way in which a request is tried again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from math import ceil
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from model.errors import QueueUnavailable
from model.outcomes import Request
from model.pair import Pair
from runtime.telemetry import count, logger

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

OUTCOME_ID = "OutcomeId"  # message attribute: the outcome that a message continues
CLAIMS = "Claims"  # message attribute: how often the outcome had been claimed when the message was sent
OPEN = "Open"  # message attribute: the portal and the pair for which something waits in the ledger, joined by #
VERIFY = "Verify"  # message attribute: the portal and the pair that is to be read, joined by #
LONGEST_DELAY = 900  # seconds; SQS's maximum for a message's DelaySeconds
# Seconds. SQS allows 43,200 in all from the receipt on, and a message has been in a function for up to 15 minutes.
LONGEST_VISIBILITY = 42_000
IN_ONE_CALL = 10  # messages; SQS's maximum
BYTES_IN_ONE_CALL = 262_144  # of messages together; SQS's maximum of old, and a quarter of today's
Sending = dict[str, Any]  # a message's parameters of SendMessage


@dataclass(frozen=True, slots=True)
class Carried:
    """A request that the ledger keeps, on its way on: to be run at `not_before`, and claimed so often before."""

    request: Request
    not_before: datetime
    claims: int


class Queue:
    """Sends requests to the main queue and postpones messages in it. Raises QueueUnavailable, but for `hand_over`."""

    def __init__(self, client: SQSClient, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, request: Request) -> None:
        """Send a request under its outcome's id, to be run at once, however often it was claimed before."""
        self._send(_message(request, {OUTCOME_ID: request.id}, 0))

    def hand_over(
        self, carried: Sequence[Carried], now: datetime, has_time: Callable[[], bool] = lambda: True
    ) -> list[bool]:
        """Send requests that the ledger keeps, in as few calls as SQS allows, and for as long as there is time. Returns
        for each whether SQS has taken it. If it has not, and nobody else sends it, the sweep does, later."""
        messages = [
            _message(
                each.request,
                {OUTCOME_ID: each.request.id, CLAIMS: str(each.claims)},
                _seconds(now, each.not_before, LONGEST_DELAY),
            )
            for each in carried
        ]
        taken: list[bool] = []
        for some in _together(messages):
            taken += self._send_many(some) if has_time() else [False] * len(some)
        for each, done in zip(carried, taken, strict=True):
            if not done:
                logger.error("request not queued", outcome_id=each.request.id)
                count("NotQueued")
        return taken

    def send_verification(self, portal: str, pair: Pair) -> None:
        """Ask for a reading of a pair."""
        self._send(_sending(portal, "a pair to be verified", {VERIFY: f"{portal}#{pair}"}, 0))

    def send_open(self, portal: str, pairs: Sequence[str], delay: timedelta = timedelta()) -> None:
        """Ask for what waits in the ledger for pairs, their types as they were spelt, to be run after a delay. Raises
        only after all have been tried."""
        seconds = max(0, min(LONGEST_DELAY, ceil(delay.total_seconds())))
        messages = [_sending(portal, "what waits for a pair", {OPEN: f"{portal}#{pair}"}, seconds) for pair in pairs]
        taken = [all(self._send_many(some)) for some in _together(messages)]
        if not all(taken):
            raise QueueUnavailable("a pair that is due could not be queued")

    def _send(self, message: Sending) -> None:
        try:
            self._client.send_message(QueueUrl=self._url, **message)
        except (ClientError, BotoCoreError) as error:
            raise QueueUnavailable(f"the request could not be queued ({type(error).__name__})") from error

    def _send_many(self, messages: Sequence[Sending]) -> list[bool]:
        entries: Any = [{"Id": str(number), **message} for number, message in enumerate(messages)]
        try:
            answer = self._client.send_message_batch(QueueUrl=self._url, Entries=entries)
        except (ClientError, BotoCoreError) as error:
            logger.error("messages not sent", error=type(error).__name__)
            return [False] * len(messages)
        taken = {sent["Id"] for sent in answer.get("Successful", [])}
        return [entry["Id"] in taken for entry in entries]

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


def _message(request: Request, attributes: Mapping[str, str], delay: int) -> Sending:
    envelope = replace(request.envelope, idempotency_key=None)
    body = json.dumps(envelope.as_json(), ensure_ascii=False, separators=(",", ":"))
    return _sending(envelope.portal, body, attributes, delay)


def _sending(portal: str, body: str, attributes: Mapping[str, str], delay: int) -> Sending:
    return {
        "MessageBody": body,
        "DelaySeconds": delay,
        "MessageGroupId": portal,  # SQS is fair between groups: a busy portal delays no other
        "MessageAttributes": {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()},
    }


def _together(messages: Sequence[Sending]) -> Iterator[list[Sending]]:
    some: list[Sending] = []
    size = 0
    for message in messages:
        own = len(message["MessageBody"].encode()) + len(str(message["MessageAttributes"]))
        if some and (len(some) == IN_ONE_CALL or size + own > BYTES_IN_ONE_CALL):
            yield some
            some, size = [], 0
        some.append(message)
        size += own
    if some:
        yield some


def _seconds(now: datetime, until: datetime, most: int) -> int:
    return max(0, min(most, ceil((until - now).total_seconds())))
