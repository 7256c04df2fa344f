"""The dispatcher: every minute it has that run which waits in the ledger and is due, pair by pair."""

from __future__ import annotations

import gc

gc.disable()  # until all is imported: none of it is garbage, and looking for some takes a tenth of a cold start

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from model.errors import LedgerUnavailable, QueueUnavailable
from production import gates, now, queue, settings
from runtime.telemetry import logger, metrics

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from ledger.gates import Gate

gc.freeze()
gc.enable()

RESERVE = 10.0  # last seconds of the invocation, in which nothing is begun; the next run goes on
MINUTE = timedelta(minutes=1)
QUOTAS = 6  # in a minute: HubSpot's quota is of ten seconds
# Between two looks at a portal: what becomes due in between is late by so much at most, and would cost a look each.
PAUSE = 5 * MINUTE
# Until what was sent is found again if it still waits: its message was lost, or the queue is that long.
AGAIN = 30 * MINUTE
LOOKS = 1_000  # at pairs of one portal in one run, each a query: some five seconds


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: Any, context: LambdaContext) -> dict[str, int]:
    """Send a message for each pair for which something is due: as many for a portal as its quota has calls in a minute,
    and the others a minute later. Raises after all were tried LedgerUnavailable or QueueUnavailable; the next run tries
    again."""
    sent = 0
    failure: LedgerUnavailable | QueueUnavailable | None = None

    def has_time() -> bool:
        return context.get_remaining_time_in_millis() / 1000 > RESERVE

    for gate in gates().due(now()):
        if not has_time():
            logger.warning("dispatch not finished", pairs=sent)
            break
        try:
            sent += _let_on(gate, has_time)
        except (LedgerUnavailable, QueueUnavailable) as error:  # of one portal: it must not stop the others
            logger.error("portal not dispatched", portal=gate.portal, error=str(error))
            failure = error
    if failure:
        raise failure
    return {"pairs": sent}


def _let_on(gate: Gate, has_time: Callable[[], bool]) -> int:
    """Send what is due of a portal, and note when it is to be looked at again. Returns how many pairs were sent."""
    began, due, most = now(), list[str](), settings().quota_calls * QUOTAS
    later: list[datetime] = [began + PAUSE] if gate.after else []  # of the pairs before nothing is known here
    after = ""
    for looks, found in enumerate(gates().pairs(gate), 1):
        if found.due > began:
            later.append(found.due)
        else:
            due.append(found.pair)
        if len(due) == most or looks == LOOKS or not has_time():
            after = found.place
            break
    # Sent before it is noted: a crash between the two sends it twice; the other way round it would wait for long.
    queue().send_open(gate.portal, due)
    if after:
        gates().go_on(gate, began + MINUTE, after)
    else:
        later += [began + AGAIN] if due else []
        gates().go_on(gate, max(min(later), began + PAUSE) if later else None)
    return len(due)
