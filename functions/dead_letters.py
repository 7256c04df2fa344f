"""The dead-letter queue's entry point: what was given up ends in the ledger as FAILED, and can be replayed."""

from __future__ import annotations

import gc

gc.disable()  # until all is imported: none of it is garbage, and looking for some takes a tenth of a cold start

from typing import TYPE_CHECKING, Any

from envelopes import Message, attribute, from_event, from_message, is_event, sent_at, to_verify, unreadable
from ledger.claim import ClaimStatus
from model.contract import DEFAULT_PORTAL, ContractError
from model.errors import LedgerUnavailable
from model.outcomes import Request, Status
from model.validation import parse_json
from production import ledger, now
from runtime.telemetry import count, logger, metrics

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

gc.freeze()
gc.enable()

# Of a message that its outcome keeps. The largest request with all its results and messages takes some 350,000.
RECEIVED_CHARACTERS = 48_000


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, list[dict[str, str]]]:
    """Settle the outcome of every message of the batch.

    The acknowledgement contract: SQS deletes each message whose id is not listed, so an id is left out only when the
    ledger holds a final outcome with the message's text. A listed message comes back after the queue's visibility
    timeout, for as long as the queue keeps it.
    """
    requests = [message for message in event["Records"] if not to_verify(message)]  # the sweep asks for those again
    returned = [message["messageId"] for message in requests if not _settled(message)]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in returned]}


def _settled(message: Message) -> bool:
    message_id, text = message["messageId"], message["body"][:RECEIVED_CHARACTERS]
    try:
        claim_status, outcome_id = _fail(message, text)
    except LedgerUnavailable as error:
        logger.error("dead letter not settled", message_id=message_id, error=str(error))
        return False
    if claim_status is ClaimStatus.LEASED:
        return False
    logger.warning("dead letter settled", message_id=message_id, outcome_id=outcome_id)
    if claim_status is not ClaimStatus.FINAL:  # which was counted when it was settled
        count("OutcomeFailed")
    return True


def _fail(message: Message, text: str) -> tuple[ClaimStatus, str]:
    """Make the outcome of a message FAILED, under the message's id if it is no request. Returns also the id."""
    # Lambda and Scheduler say in attributes why they gave up; SQS only counts.
    error = attribute(message, "ErrorMessage") or attribute(message, "ERROR_MESSAGE")
    reason = f"given up: {error}" if error else "given up after the last receive that its queue allows"
    portal, claim_status = DEFAULT_PORTAL, ClaimStatus.CLAIMED
    try:
        request = _request(message)
        portal, claim_status = request.envelope.portal, ledger().fail(request, reason, text, now())
        if claim_status is not ClaimStatus.KEY_REUSED:
            return claim_status, request.id
        problem = f"its idempotencyKey belongs to another request: outcome {request.id}"
    except ContractError as refusal:
        problem = str(refusal)
    reason = f"{reason}; and it is no request: {problem}"
    ledger().record(unreadable(message, Status.FAILED, reason, text, now(), portal), now())
    return claim_status, message["messageId"]


def _request(message: Message) -> Request:
    """The request in a message of the main queue, or in an event that EventBridge or Lambda gave up."""
    if is_event(message):
        invocation = attribute(message, "RequestID") or message["messageId"]
        return from_event(parse_json(message["body"]), invocation, sent_at(message))
    return from_message(message)
