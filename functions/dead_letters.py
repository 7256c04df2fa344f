"""The dead-letter queue's entry point: what was given up ends in the ledger as FAILED, and can be replayed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from envelopes import Message, attribute, from_event, from_message, sent_at
from ledger.claim import ClaimStatus
from model.contract import DEFAULT_PORTAL, ContractError
from model.errors import LedgerUnavailable
from model.outcomes import Outcome, Request, Status, Trigger
from model.validation import parse_json
from production import ledger, now, settings
from runtime.telemetry import count, logger, metrics

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

# Attributes of what is no message of the main queue: an event that Lambda, a schedule or a rule has given up.
BY_EVENTBRIDGE = ("RequestID", "SCHEDULE_ARN", "RULE_ARN")
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
    kept = [message["messageId"] for message in event["Records"] if not _settled(message)]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in kept]}


def _settled(message: Message) -> bool:
    text = message["body"][:RECEIVED_CHARACTERS]
    try:
        try:
            request = _request(message)
        except ContractError as error:
            ledger().record(_unreadable(message, text, str(error)), now())
            claim_status, outcome_id = ClaimStatus.CLAIMED, message["messageId"]
        else:
            claim_status, outcome_id = ledger().fail(request, _reason(message), text, now()), request.id
            if claim_status is ClaimStatus.KEY_REUSED:
                reason = f"its idempotencyKey belongs to another request: outcome {request.id}"
                ledger().record(_unreadable(message, text, reason, request.envelope.portal), now())
    except LedgerUnavailable as error:
        logger.error("dead letter not settled", message_id=message["messageId"], error=str(error))
        return False
    if claim_status is ClaimStatus.LEASED:
        return False
    logger.warning("dead letter settled", message_id=message["messageId"], outcome_id=outcome_id)
    if claim_status is not ClaimStatus.FINAL:  # which an alarm has told of, if there was need
        count("OutcomeFailed")
    return True


def _request(message: Message) -> Request:
    """The request of a message of the main queue, or of an event that EventBridge or Lambda gave up on."""
    if any(attribute(message, name) for name in BY_EVENTBRIDGE):
        invocation = attribute(message, "RequestID") or message["messageId"]
        return from_event(parse_json(message["body"]), settings().portals, invocation, sent_at(message))
    return from_message(message, settings().portals)


def _reason(message: Message) -> str:
    # Lambda and Scheduler say in attributes why they gave up; SQS only counts.
    said = attribute(message, "ErrorMessage") or attribute(message, "ERROR_MESSAGE")
    return f"given up: {said}" if said else "given up after the last receive that its queue allows"


def _unreadable(message: Message, text: str, reason: str, portal: str = DEFAULT_PORTAL) -> Outcome:
    return Outcome(
        id=message["messageId"],
        portal=portal,
        status=Status.FAILED,
        trigger=Trigger.SCHEDULE if any(attribute(message, name) for name in BY_EVENTBRIDGE) else Trigger.QUEUE,
        requested_at=sent_at(message),
        finished_at=now(),
        reason=f"{_reason(message)}; and it is no request: {reason}",
        received=text,
    )
