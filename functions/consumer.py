"""The queue's entry point: messages in, the ids of those that must come back out."""

from __future__ import annotations

import gc

gc.disable()  # until all is imported: none of it is garbage, and looking for some takes a tenth of a cold start

from typing import TYPE_CHECKING, Any

from batch_create.handler import run
from envelopes import Message, from_message, to_go_on, to_verify, unreadable
from ledger.claim import Claim, ClaimStatus
from model.contract import DEFAULT_PORTAL, ContractError
from model.errors import LedgerUnavailable
from model.outcomes import Request, Status
from parked import carry_on, opened
from production import gates, ledger, now, portal_registry, production, queue
from redelivery import try_again
from runtime.telemetry import logger, metrics

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from model.pair import Pair

gc.freeze()
gc.enable()

RESERVE = 8.0  # seconds of the invocation kept for settling, for sending on what must wait, and for answering
ANSWER = 2.0  # seconds of them, in which nothing more is sent: a death would have both messages delivered
READING = 30.0  # seconds that must be left when one more pair is read, so that what was read can be run
RECEIVED_BYTES = 4096  # of an unreadable message, kept in its outcome


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, list[dict[str, str]]]:
    """Run every message of the batch.

    The acknowledgement contract: SQS deletes each message whose id is not listed under batchItemFailures, so an id is
    left out only when the ledger holds its final outcome, or when another message carries its request on. A listed
    message comes back when its visibility ends.
    """
    readable: list[tuple[Message, Request]] = []
    returned: list[str] = []
    verify: list[tuple[str, Pair]] = []
    asked: dict[str, tuple[str, str]] = {}
    for message in event["Records"]:
        if to_read := to_verify(message):
            # Never returned: a pair that cannot be read now is asked for again by the next sweep.
            if _is_used(to_read[0]):
                verify.append(to_read)
        elif pair := to_go_on(message):
            asked[message["messageId"]] = pair
        else:
            try:
                readable.append((message, from_message(message)))
            except ContractError as error:
                if not _rejected(message, str(error)):
                    returned.append(message["messageId"])

    def left() -> float:
        return context.get_remaining_time_in_millis() / 1000

    found, unknown = opened(asked.values(), gates(), now(), lambda: left() > READING) if asked else ([], set())
    returned += [message_id for message_id, pair in asked.items() if pair in unknown]
    requests = [request for _, request in readable] + [request for each in found for request in each.requests]
    answers = run(requests, left() - RESERVE, production(), verify)
    unfinished: list[tuple[Message, Request, Claim]] = []
    for (message, request), claim in zip(readable, answers, strict=False):
        if claim.claim_status is ClaimStatus.KEY_REUSED:
            reason = f"its idempotencyKey belongs to another request: outcome {claim.outcome.id}"
            if not _rejected(message, reason, claim.outcome.portal):
                returned.append(message["messageId"])
        elif not claim.outcome.status.final:
            unfinished.append((message, request, claim))
    if unfinished:
        returned += try_again(unfinished, queue(), now(), production().jitter, has_time=lambda: left() > ANSWER)
    if found:
        claims = dict(zip((request.id for request in requests[len(readable) :]), answers[len(readable) :], strict=True))
        carry_on(found, claims, queue(), ledger(), gates(), now())
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in returned]}


def _is_used(portal: str) -> bool:
    try:
        return portal_registry().knows(portal)
    except LedgerUnavailable as error:
        logger.warning("portal not looked up", portal=portal, error=str(error))
        return False


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
