"""How a message's request is tried again: the ledger keeps it, and a new message carries it. What the ledger does not
know yet would lose its age by that: it comes again in the message that it came in."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from aws.sqs import LONGEST_DELAY
from ledger.claim import Claim, ClaimStatus
from model.errors import QueueUnavailable
from runtime.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aws.sqs import Queue
    from envelopes import Message
    from model.outcomes import Request

# Without the ledger nothing can be done, and each try uses up a receive: at first after two minutes or less, then
# later and later, up to three hours. A ledger that is down for a day takes some fourteen.
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=2), timedelta(hours=3)


def try_again(
    unfinished: Sequence[tuple[Message, Request, Claim]],
    queue: Queue,
    now: datetime,
    jitter: Callable[[], float],
    has_time: Callable[[], bool],
) -> list[str]:
    """Let requests be tried again when their claims say. Returns the ids of the messages that come again by themselves:
    where the ledger could not be reached, where a wait is longer than SQS delays a message, where SQS took none, and
    where no time is left."""
    due = {message["messageId"]: _due(message, claim, now, jitter) for message, _, claim in unfinished}
    # By the request: of several messages of one that came together, one is enough.
    carried = {
        request.id: (request, due[message["messageId"]])
        for message, request, claim in unfinished
        if _is_carried_on(claim, due[message["messageId"]], now)
    }
    taken = dict(zip(carried, queue.hand_over_many(list(carried.values()), now, has_time), strict=True))
    left = [
        message
        for message, request, claim in unfinished
        if not (_is_carried_on(claim, due[message["messageId"]], now) and taken[request.id])
    ]
    try:
        if left and has_time():
            queue.postpone({message["receiptHandle"]: due[message["messageId"]] for message in left}, now)
    except QueueUnavailable as error:
        # They come back all the same, after the queue's own visibility timeout.
        logger.warning("postpone failed", error=str(error))
    return [message["messageId"] for message in left]


def _due(message: Message, claim: Claim, now: datetime, jitter: Callable[[], float]) -> datetime:
    if claim.claim_status is ClaimStatus.LEDGER_UNAVAILABLE:
        receives = int(message["attributes"].get("ApproximateReceiveCount", "1"))
        ceiling = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(receives - 1, 10))
        return now + ceiling * (0.5 + jitter() / 2)
    return claim.lease_until or claim.outcome.retry_at or now


def _is_carried_on(claim: Claim, due: datetime, now: datetime) -> bool:
    known = claim.claim_status is not ClaimStatus.LEDGER_UNAVAILABLE
    return known and (due - now).total_seconds() <= LONGEST_DELAY
