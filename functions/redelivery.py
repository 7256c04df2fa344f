"""How a message's request is tried again: the ledger keeps it, and a new message carries it. What the ledger does not
know yet would lose its age by that: it comes again in the message that it came in."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from aws.sqs import CLAIMS, OUTCOME_ID, Carried
from envelopes import attribute
from ledger.claim import Claim, ClaimStatus
from model.errors import QueueUnavailable
from runtime.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aws.sqs import Queue
    from envelopes import Message
    from model.outcomes import Request

WAITS = (ClaimStatus.DEFERRED, ClaimStatus.QUEUED)  # and was not run now
BY_ITSELF = (ClaimStatus.LEDGER_UNAVAILABLE, ClaimStatus.LEASED)  # so that its message comes again
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
    where the ledger could not be reached or another worker runs the request, where SQS took none, and where no time is
    left. What waits in the ledger alone needs no message."""
    hidden: dict[str, tuple[Message, datetime]] = {}
    # By the request: of several messages of one that came together, one is enough.
    carried: dict[str, Carried] = {}
    carriers: list[tuple[Message, Carried]] = []
    for message, request, claim in unfinished:
        due = _due(message, claim, now, jitter)
        if claim.outcome.parked or _is_overtaken(message, claim):
            continue
        if claim.claim_status in BY_ITSELF:
            hidden[message["messageId"]] = message, due
        else:
            one = carried.setdefault(request.id, Carried(request, due, claim.claims))
            carriers.append((message, one))
    taken = dict(zip(carried, queue.hand_over(list(carried.values()), now, has_time), strict=True))
    hidden |= {
        message["messageId"]: (message, one.not_before) for message, one in carriers if not taken[one.request.id]
    }
    try:
        if hidden and has_time():
            queue.postpone({message["receiptHandle"]: due for message, due in hidden.values()}, now)
    except QueueUnavailable as error:
        # They come back all the same, after the queue's own visibility timeout.
        logger.warning("postpone failed", error=str(error))
    return list(hidden)


def _due(message: Message, claim: Claim, now: datetime, jitter: Callable[[], float]) -> datetime:
    if claim.claim_status is ClaimStatus.LEDGER_UNAVAILABLE:
        ceiling = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(_receives(message) - 1, 10))
        return now + ceiling * (0.5 + jitter() / 2)
    return claim.lease_until or claim.outcome.retry_at or now


def _is_overtaken(message: Message, claim: Claim) -> bool:
    """Whether a request was run from another message since this one was sent: then that one has been carried on. Else
    each crash between sending one and acknowledging the other would leave one more of them, for as long as it waits."""
    told = attribute(message, CLAIMS) or ("" if attribute(message, OUTCOME_ID) else "0")
    if claim.claim_status not in WAITS or not told.isdecimal():  # it was sent whatever there may be
        return False
    # Each earlier reader of this very message may have claimed it, and died before it carried it on.
    return claim.claims > int(told) + _receives(message) - 1


def _receives(message: Message) -> int:
    """How often a message was received, this time included."""
    return int(message["attributes"].get("ApproximateReceiveCount", "1"))
