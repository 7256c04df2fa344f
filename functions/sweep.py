"""The sweep: it puts outcomes back on the queue that would otherwise stay as they are, and asks for the readings that
pairs are due for."""

from __future__ import annotations

import gc

gc.disable()  # until all is imported: none of it is garbage, and looking for some takes a tenth of a cold start

from typing import TYPE_CHECKING, Any

from ledger.replay import continued
from production import leases, ledger, now, queue, settings
from runtime.telemetry import count, logger, metrics

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

gc.freeze()
gc.enable()

RESERVE = 10.0  # last seconds of the invocation, in which nothing is begun; the next run goes on


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: Any, context: LambdaContext) -> dict[str, int]:
    """Put back every outcome that is stuck in QUEUED, RUNNING or past its `retryAt`. One too many does no harm: the
    consumer finds it finished. Raises LedgerUnavailable and QueueUnavailable; the next run tries again."""
    swept = 0

    def is_over() -> bool:
        return context.get_remaining_time_in_millis() / 1000 < RESERVE

    for portal in settings().portals:
        for pair in leases().due(portal, now()):
            if is_over():
                logger.warning("sweep not finished", swept=swept)
                return {"swept": swept}
            queue().send_verification(portal, pair)
            count("PairsToVerify")
        for outcome in ledger().stuck(portal, now()):
            if is_over():
                logger.warning("sweep not finished", swept=swept)
                return {"swept": swept}
            # Sent before it is noted: a crash between the two sends it twice; the other way round it is never sent.
            queue().send(continued(outcome), now())
            ledger().swept(outcome, now())
            logger.warning("outcome swept", outcome_id=outcome.id, status=outcome.status)
            count("SweptOutcomes")
            swept += 1
    return {"swept": swept}
