"""The schedule's entry point: an EventBridge Scheduler input, or a rule's event with the envelope in `detail`."""

from __future__ import annotations

import gc

gc.disable()  # until all is imported: none of it is garbage, and looking for some takes a tenth of a cold start

from typing import TYPE_CHECKING, Any

from aws.sqs import Carried
from batch_create.handler import run
from envelopes import from_event
from ledger.claim import ClaimStatus
from model.errors import QueueUnavailable
from production import now, production, queue
from runtime.telemetry import logger, metrics

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

gc.freeze()
gc.enable()

RESERVE = 5.0  # seconds of the invocation kept for settling and handing over


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: Any, context: LambdaContext) -> dict[str, str]:
    """Run one scheduled request. Raises ContractError for an input that can never be run, so that the invocation fails
    and its alarm rings, and QueueUnavailable where nothing could keep the request, so that Lambda invokes it again."""
    request = from_event(event, context.aws_request_id, now())
    seconds = context.get_remaining_time_in_millis() / 1000 - RESERVE
    (claim,) = run([request], seconds, production())
    if claim.claim_status is ClaimStatus.KEY_REUSED:
        raise ValueError(f"the idempotencyKey belongs to another request: outcome {claim.outcome.id}")
    if not claim.outcome.status.final and not claim.outcome.parked:
        # Also when another invocation runs it: should that one die, the message takes the request over.
        until = claim.lease_until or claim.outcome.retry_at or now()
        taken = all(queue().hand_over([Carried(request, until, claim.claims)], now()))
        if not taken and claim.claim_status is ClaimStatus.LEDGER_UNAVAILABLE:
            raise QueueUnavailable("neither the ledger nor the queue could be reached: Lambda is to try again")
    logger.info("scheduled request", outcome_id=claim.outcome.id, status=claim.outcome.status)
    return {"outcomeId": claim.outcome.id, "status": claim.outcome.status}
