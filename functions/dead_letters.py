"""The dead-letter queue's entry point: what may have killed its reader is run once more, alone. What kills that one too
ends in the ledger as FAILED, and can be replayed."""

from __future__ import annotations

import gc

gc.disable()  # until all is imported: none of it is garbage, and looking for some takes a tenth of a cold start

from typing import TYPE_CHECKING, Any

from aws.sqs import Carried
from batch_create.handler import run
from envelopes import Message, attribute, from_event, from_message, is_event, sent_at, to_go_on, to_verify, unreadable
from ledger.claim import Claim, ClaimStatus
from model.contract import DEFAULT_PORTAL, ContractError
from model.errors import LedgerUnavailable
from model.outcomes import Request, Status
from model.validation import parse_json
from production import ledger, now, production, queue
from runtime.telemetry import count, logger, metrics

if TYPE_CHECKING:
    from datetime import datetime

    from aws_lambda_powertools.utilities.typing import LambdaContext

gc.freeze()
gc.enable()

RESERVE = 5.0  # seconds of the invocation kept for settling and answering
RUNS = 3  # that a letter may kill: one would do, but a function can be killed by chance as well
# Of a message that its outcome keeps. The largest request with all its results and messages takes some 350,000.
RECEIVED_CHARACTERS = 48_000


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, list[dict[str, str]]]:
    """Run each message of the batch by itself, which has a single one on AWS. One that kills each run is FAILED.

    The acknowledgement contract: SQS deletes each message whose id is not listed, so an id is left out only when the
    ledger holds a final outcome, or when the main queue carries its request on. A listed message comes back after the
    queue's visibility timeout, for as long as the queue keeps it.
    """
    # What the sweep and the dispatcher ask for is asked for again.
    messages = [message for message in event["Records"] if not to_verify(message) and not to_go_on(message)]
    returned = [message["messageId"] for message in messages if not _done(message, context)]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in returned]}


def _done(message: Message, context: LambdaContext) -> bool:
    try:
        done = _run(message, context)
        return _settled(message) if done is None else done
    except LedgerUnavailable as error:
        logger.error("dead letter not settled", message_id=message["messageId"], error=str(error))
        return False


def _run(message: Message, context: LambdaContext) -> bool | None:
    """Run a letter, and tell whether it is done with. None for what is not to be run: it is no request, or each run has
    killed its function."""
    try:
        request = _request(message)
    except ContractError:
        return None
    claim = ledger().accept(request, now())  # so that the ledger can count its runs; SQS counts what came before, too
    if claim.claim_status is ClaimStatus.KEY_REUSED:
        return None
    if not claim.outcome.status.final and _due(claim) <= now():
        if ledger().count_letter(request.id) > RUNS:
            return None
        (claim,) = run([request], context.get_remaining_time_in_millis() / 1000 - RESERVE, production())
        logger.info("dead letter run", outcome_id=request.id, status=claim.outcome.status)
    if claim.claim_status is ClaimStatus.LEDGER_UNAVAILABLE:
        return False
    if claim.outcome.status.final or claim.outcome.parked:
        return True
    return all(queue().hand_over([Carried(request, _due(claim), claim.claims)], now()))


def _due(claim: Claim) -> datetime:
    return claim.lease_until or claim.outcome.retry_at or now()


def _settled(message: Message) -> bool:
    message_id, text = message["messageId"], message["body"][:RECEIVED_CHARACTERS]
    claim_status, outcome_id = _fail(message, text)
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
    given_up = f"given up: {error}" if error else "given up"
    reason = given_up if error else "given up, as its message killed every function that received it"
    portal, claim_status = DEFAULT_PORTAL, ClaimStatus.CLAIMED
    try:
        request = _request(message)
        portal, claim_status = request.envelope.portal, ledger().fail(request, reason, text, now())
        if claim_status is not ClaimStatus.KEY_REUSED:
            return claim_status, request.id
        problem = f"its idempotencyKey belongs to another request: outcome {request.id}"
    except ContractError as refusal:
        problem = str(refusal)
    reason = f"{given_up}; it is no request: {problem}"
    ledger().record(unreadable(message, Status.FAILED, reason, text, now(), portal), now())
    return claim_status, message["messageId"]


def _request(message: Message) -> Request:
    """The request in a message of the main queue, or in an event that EventBridge or Lambda gave up."""
    if is_event(message):
        invocation = attribute(message, "RequestID") or message["messageId"]
        return from_event(parse_json(message["body"]), invocation, sent_at(message))
    return from_message(message)
