"""What the dispatcher's messages ask for: what is parked for a pair is read, and carried on where it must still wait.

Such a message is never returned once it was read: what was not run is still parked, and is found again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from aws.sqs import Carried
from ledger.claim import Claim, ClaimStatus
from ledger.replay import continued
from model.errors import LedgerUnavailable, QueueUnavailable
from runtime.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from aws.sqs import Queue
    from ledger.gates import Gates
    from ledger.ledger import Ledger
    from model.outcomes import Request

MOST = 500  # requests that one invocation reads: each is claimed alone, in some ten milliseconds at 512 MB
LATER = timedelta(seconds=60)  # until a pair for which this invocation has no room is asked for again


@dataclass
class Opened:
    """A pair for which something is parked: what was read of it, and whether there may be more. `left` where there was
    no room for it."""

    portal: str
    pair: str
    requests: list[Request] = field(default_factory=list)
    is_more: bool = False
    left: bool = False


def opened(
    asked: Iterable[tuple[str, str]], gates: Gates, now: datetime, has_time: Callable[[], bool]
) -> tuple[list[Opened], set[tuple[str, str]]]:
    """What is parked for pairs and due, MOST of it in all and as long as there is time; and those pairs that the ledger
    could not be asked about."""
    found: list[Opened] = []
    unknown: set[tuple[str, str]] = set()
    room = MOST
    for portal, pair in dict.fromkeys(asked):
        if not room or (found and not has_time()):
            found.append(Opened(portal, pair, left=True))
            continue
        try:
            outcomes, is_more = gates.waiting(portal, pair, now, room)
        except LedgerUnavailable as error:
            logger.warning("pair not looked up", portal=portal, pair=pair, error=str(error))
            unknown.add((portal, pair))
            continue
        room -= len(outcomes)
        found.append(Opened(portal, pair, list(map(continued, outcomes)), is_more))
    return found, unknown


def carry_on(
    found: Iterable[Opened], claims: Mapping[str, Claim], queue: Queue, ledger: Ledger, gates: Gates, now: datetime
) -> None:
    """Send on what was run and must wait for less than is parked, and ask again for pairs of which more is due."""
    carried: list[tuple[Carried, Claim]] = []
    for each in found:
        own = [(request, claims[request.id]) for request in each.requests]
        run = [(request, claim) for request, claim in own if claim.claim_status is ClaimStatus.CLAIMED]
        carried += [
            (Carried(request, claim.lease_until or claim.outcome.retry_at or now, claim.claims), claim)
            for request, claim in run
            if not claim.outcome.status.final and not claim.outcome.parked
        ]
        # Another worker holds the pair: nothing was claimed, and all is parked as before.
        held = [
            claim.lease_until for _, claim in own if claim.claim_status is ClaimStatus.DEFERRED if claim.lease_until
        ]
        if each.left:
            _ask_again(each, LATER, queue)
        elif each.is_more and run:  # only then: what nobody can run now would be asked for without an end
            _ask_again(each, timedelta(), queue)
        elif held:
            _ask_again(each, min(held) - now, queue)
    taken = queue.hand_over([one for one, _ in carried], now)
    for (_, claim), done in zip(carried, taken, strict=True):
        if not done:
            _park(claim, ledger, gates, now)


def _ask_again(each: Opened, delay: timedelta, queue: Queue) -> None:
    try:
        queue.send_open(each.portal, [each.pair], delay)
    except QueueUnavailable as error:  # the dispatcher finds it again
        logger.warning("pair not asked for again", portal=each.portal, pair=each.pair, error=str(error))


def _park(claim: Claim, ledger: Ledger, gates: Gates, now: datetime) -> None:
    """Park again what no message can carry now: else it would wait until the sweep finds it."""
    try:
        if due := ledger.park(claim.outcome):
            gates.wait(claim.outcome.portal, due, now)
    except LedgerUnavailable as error:
        logger.warning("not parked", outcome_id=claim.outcome.id, error=str(error))
