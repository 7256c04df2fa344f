"""The queue's entry point: messages in, the ids of those that must come back out."""

from __future__ import annotations

import gc

gc.disable()  # until all is imported: none of it is garbage, and looking for some takes a tenth of a cold start

from typing import TYPE_CHECKING, Any

from batch_create.handler import run
from envelopes import Message, from_message, to_go_on, to_verify, unreadable
from ledger.claim import Claim, ClaimStatus
from ledger.replay import continued
from model.contract import DEFAULT_PORTAL, ContractError
from model.errors import LedgerUnavailable, QueueUnavailable
from model.outcomes import Request, Status
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
MOST_WAITING = 500  # of a pair, that one message has run; for the others there is another
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
    more: list[tuple[str, str]] = []
    for message in event["Records"]:
        if to_read := to_verify(message):
            # Never returned: a pair that cannot be read now is asked for again by the next sweep.
            if _is_used(to_read[0]):
                verify.append(to_read)
            continue
        if waiting := to_go_on(message):
            try:
                found, is_more = gates().waiting(*waiting, now(), MOST_WAITING)
            except LedgerUnavailable as error:
                logger.warning("pair not looked up", pair=waiting, error=str(error))
                returned.append(message["messageId"])
                continue
            more += [waiting] if is_more else []
            readable += [(message, continued(outcome)) for outcome in found]
            continue
        try:
            readable.append((message, from_message(message)))
        except ContractError as error:
            if not _rejected(message, str(error)):
                returned.append(message["messageId"])
    seconds = context.get_remaining_time_in_millis() / 1000 - RESERVE
    answers = run([request for _, request in readable], seconds, production(), verify)
    unfinished: list[tuple[Message, Request, Claim]] = []
    for (message, request), claim in zip(readable, answers, strict=True):
        if claim.claim_status is ClaimStatus.KEY_REUSED:
            reason = f"its idempotencyKey belongs to another request: outcome {claim.outcome.id}"
            if not _rejected(message, reason, claim.outcome.portal):
                returned.append(message["messageId"])
        elif not claim.outcome.status.final:
            unfinished.append((message, request, claim))
    for portal, pair in more:
        _send_on(portal, pair)
    if unfinished:
        returned += try_again(
            unfinished,
            queue(),
            now(),
            production().jitter,
            has_time=lambda: context.get_remaining_time_in_millis() / 1000 > ANSWER,
        )
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in returned]}


def _send_on(portal: str, pair: str) -> None:
    try:
        queue().send_open(portal, [pair])
    except QueueUnavailable as error:  # the dispatcher finds it again
        logger.warning("pair not sent on", portal=portal, pair=pair, error=str(error))


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
