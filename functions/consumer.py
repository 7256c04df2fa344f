"""The queue's entry point: messages in, the ids of those that must come back out."""

from __future__ import annotations

import gc

gc.disable()  # until all is imported: none of it is garbage, and looking for some takes a tenth of a cold start

from datetime import datetime
from typing import TYPE_CHECKING, Any

from batch_create.handler import run
from envelopes import Message, from_message, to_verify, unreadable
from ledger.claim import Claim, ClaimStatus
from model.contract import DEFAULT_PORTAL, ContractError
from model.errors import LedgerUnavailable, QueueUnavailable
from model.outcomes import Request, Status
from production import ledger, now, portal_registry, production, queue
from runtime.telemetry import logger, metrics

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from model.pair import Pair

gc.freeze()
gc.enable()

RESERVE = 5.0  # seconds of the invocation kept for settling and answering
RECEIVED_BYTES = 4096  # of an unreadable message, kept in its outcome


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, list[dict[str, str]]]:
    """Run every message of the batch.

    The acknowledgement contract: SQS deletes each message whose id is not listed under batchItemFailures, so an id is
    left out only when the ledger holds its final outcome. A listed message comes back when its visibility ends.
    """
    readable: list[tuple[Message, Request]] = []
    returned: list[str] = []
    verify: list[tuple[str, Pair]] = []
    for message in event["Records"]:
        if pair := to_verify(message):
            # Never returned: a pair that cannot be read now is asked for again by the next sweep.
            if _is_used(pair[0]):
                verify.append(pair)
            continue
        try:
            readable.append((message, from_message(message)))
        except ContractError as error:
            if not _rejected(message, str(error)):
                returned.append(message["messageId"])
    seconds = context.get_remaining_time_in_millis() / 1000 - RESERVE
    answers = run([request for _, request in readable], seconds, production(), verify)
    waiting: dict[str, datetime] = {}
    for (message, _), claim in zip(readable, answers, strict=True):
        if not _finished(message, claim):
            returned.append(message["messageId"])
            if until := claim.lease_until or claim.outcome.retry_at:
                waiting[message["receiptHandle"]] = until
    try:
        if waiting:
            queue().postpone(waiting, now())
    except QueueUnavailable as error:
        # They come back all the same, after the queue's own visibility timeout.
        logger.warning("postpone failed", error=str(error))
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in returned]}


def _is_used(portal: str) -> bool:
    try:
        return portal_registry().knows(portal)
    except LedgerUnavailable as error:
        logger.warning("portal not looked up", portal=portal, error=str(error))
        return False


def _finished(message: Message, claim: Claim) -> bool:
    """Whether the ledger holds a message's final outcome. If not, the message must wait."""
    if claim.claim_status is ClaimStatus.KEY_REUSED:
        reason = f"its idempotencyKey belongs to another request: outcome {claim.outcome.id}"
        return _rejected(message, reason, claim.outcome.portal)
    return claim.outcome.status.final


def _rejected(message: Message, reason: str, portal: str = DEFAULT_PORTAL) -> bool:
    """Record that a message can never be run, with the beginning of its body."""
    logger.warning("message rejected", message_id=message["messageId"], reason=reason)
    text = message["body"].encode()[:RECEIVED_BYTES].decode(errors="ignore")
    try:
        ledger().record(unreadable(message, Status.REJECTED, reason, text, now(), portal), now())
    except LedgerUnavailable as error:
        logger.error("record failed", message_id=message["messageId"], error=str(error))
        return False
    return True
