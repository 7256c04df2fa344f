"""The sweep: it puts outcomes back on the queue that would otherwise stay as they are, and asks for the readings that
pairs are due for."""

from __future__ import annotations

import gc

gc.disable()  # until all is imported: none of it is garbage, and looking for some takes a tenth of a cold start

from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any
from zlib import crc32

from ledger.replay import continued
from model.errors import QueueUnavailable
from production import gates, leases, ledger, now, portal_registry, queue, settings
from runtime.telemetry import count, logger, measure, metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from model.outcomes import Outcome
    from model.pair import Pair

gc.freeze()
gc.enable()

RESERVE = 10.0  # last seconds of the invocation, in which nothing is begun; the next run goes on


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: Any, context: LambdaContext) -> dict[str, int]:
    """Put back every outcome that is stuck in QUEUED, RUNNING or past its `retryAt`, but those whose message was
    delivered for the first time, as it comes back. One too many does no harm: the consumer finds it finished. Raises
    LedgerUnavailable, and after all were tried QueueUnavailable; the next run tries again."""
    swept, failure, oldest = 0, None, now()
    for since, put_back in chain.from_iterable(map(_open, _portals())):
        if context.get_remaining_time_in_millis() / 1000 < RESERVE:
            logger.warning("sweep not finished", swept=swept)
            break
        oldest = min(oldest, since)
        try:
            swept += put_back()
        except QueueUnavailable as error:  # one that SQS does not take must not stop the others
            failure = error
    measure("OldestOpen", (now() - oldest).total_seconds())
    if failure:
        raise failure
    return {"swept": swept}


def _portals() -> list[str]:
    # Those of the settings besides, as a version before the registry may have left something for them.
    known = list(dict.fromkeys(chain(portal_registry().names(), settings().portals)))
    start = crc32(now().isoformat().encode()) % len(known)  # elsewhere each time: a run may not get to the end
    return known[start:] + known[:start]


def _open(portal: str) -> Iterator[tuple[datetime, Callable[[], int]]]:
    """What there is to do for a portal, and what only waits: since when, and what puts it on the queue and returns how
    many outcomes that has put back."""
    yield now(), _nothing  # so that the time is looked at
    for pair in leases().due(portal, now()):
        yield now(), partial(_verify, portal, pair)
    woken = False
    for outcome, stuck in ledger().unfinished(portal, now()):
        put_back = partial(_continue, outcome) if stuck else _nothing
        if outcome.parked:  # the dispatcher has it run: all that can be lacking is the portal's gate
            put_back = partial(_wake, portal) if stuck and not woken else _nothing
            woken |= stuck
        yield outcome.requested_at, put_back


def _nothing() -> int:
    return 0


def _wake(portal: str) -> int:
    gates().wait(portal, now(), now())
    return 0


def _verify(portal: str, pair: Pair) -> int:
    queue().send_verification(portal, pair)
    count("PairsToVerify")
    return 0


def _continue(outcome: Outcome) -> int:
    # Sent before it is noted: a crash between the two sends it twice; the other way round it is never sent.
    queue().send(continued(outcome))
    ledger().swept(outcome, now())
    logger.warning("outcome swept", outcome_id=outcome.id, status=outcome.status)
    count("SweptOutcomes")
    return 1
