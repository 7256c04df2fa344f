"""run(): claim, plan, call and settle requests. The same for one request or ten thousand, whatever triggered them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from batch_create.calls import Caller
from batch_create.errors import LedgerUnavailable
from batch_create.held import Held
from batch_create.hubspot import Pair
from batch_create.lane import Lane, not_written
from batch_create.ledger import Standing
from batch_create.line import Line
from batch_create.outcomes import Outcome, Request, Status, new_outcome
from batch_create.plan import taking_turns
from batch_create.pool import AT_ONCE
from batch_create.ports import Point, Ports
from batch_create.telemetry import logger

# A holder may need this long after its deadline to write what it knows; until then nobody takes its request over.
LEASE_GRACE = timedelta(seconds=15)


@dataclass(frozen=True)
class Ran:
    """What `run` has to say of one request.

    By `standing`: OURS, it was run here, and `outcome` is final or DEFERRED until its `retry_at`; FINISHED, it was done
    before; ELSEWHERE, somebody holds it until `lease_until`; PARKED, it waits in the queue for its `retry_at`;
    ANOTHER_REQUEST, its id belongs to a request that asked for something else, which `outcome` shows; UNREACHED,
    without the ledger nothing was done.
    """

    standing: Standing
    outcome: Outcome
    lease_until: datetime | None = None


def run(requests: Sequence[Request], seconds: float, ports: Ports) -> list[Ran]:
    """Set the limits that `requests` ask for, within `seconds`. One answer per request, in their order."""
    deadline = ports.clock() + timedelta(seconds=seconds)
    # The same request may come twice in one batch: it is claimed once, and both get the one answer.
    distinct = {(request.id, request.fingerprint): request for request in requests}
    claims: dict[tuple[str, str], Ran | Held] = {}

    def claim(keys: Sequence[tuple[str, str]]) -> None:
        for key in keys:
            claims[key] = _claim(distinct[key], deadline, ports)

    keys = list(distinct)
    ports.side_by_side([partial(claim, keys[lane::AT_ONCE]) for lane in range(min(AT_ONCE, len(keys)))])
    _work([held for key in keys if isinstance(held := claims[key], Held)], deadline, ports)
    answers = (claims[request.id, request.fingerprint] for request in requests)
    return [Ran(Standing.OURS, answer.outcome) if isinstance(answer, Held) else answer for answer in answers]


def _claim(request: Request, deadline: datetime, ports: Ports) -> Ran | Held:
    ports.reached(Point.BEFORE_CLAIM)
    now = ports.clock()
    try:
        claim = ports.ledger.claim(request, now, deadline + LEASE_GRACE)
    except LedgerUnavailable as error:
        logger.error("claim failed", outcome_id=request.id, error=str(error))
        return Ran(Standing.UNREACHED, not_written(new_outcome(request, Status.DEFERRED), now))
    if claim.standing is Standing.OURS:
        ports.reached(Point.AFTER_CLAIM)
        return Held(claim, now, ports.default_api_version, request.interactive)
    return Ran(claim.standing, claim.outcome, claim.lease_until)


def _work(held: Sequence[Held], deadline: datetime, ports: Ports) -> None:
    """Take requests as far as they go, those of different pairs side by side."""
    lanes: dict[tuple[str, Pair], list[Held]] = defaultdict(list)
    for request in held:
        lanes[request.outcome.portal, request.pair].append(request)
    line = Line(ports, deadline, urgent=any(request.interactive for request in held))
    for portal, _ in lanes:
        line.expect(portal, 1)
    jobs = [Lane(lanes[key], Caller(ports, deadline, line), ports).work for key in taking_turns(lanes)]
    ports.side_by_side(jobs)
