"""run(): claim, plan, call and settle requests. The same for one request or ten thousand, whatever triggered them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from batch_create.calls import Caller
from batch_create.claims import Standing
from batch_create.errors import LedgerUnavailable
from batch_create.held import Held
from batch_create.hubspot import Pair
from batch_create.lane import Lane, not_written
from batch_create.line import Line
from batch_create.outcomes import Outcome, Request, Status, new_outcome
from batch_create.plan import chunks, taking_turns
from batch_create.pool import AT_ONCE
from batch_create.ports import Point, Ports
from batch_create.table import STATEMENTS_IN_ONE_WRITE
from batch_create.telemetry import logger

# A holder may need this long after its deadline to write what it knows; until then nobody takes its request over.
LEASE_GRACE = timedelta(seconds=15)

Key = tuple[str, str]  # a request's id and fingerprint


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
    distinct: dict[Key, Request] = {(request.id, request.fingerprint): request for request in requests}
    claims = _claims(distinct, deadline, ports)
    _work([held for key in distinct if isinstance(held := claims[key], Held)], deadline, ports)
    answers = (claims[request.id, request.fingerprint] for request in requests)
    return [Ran(Standing.OURS, answer.outcome) if isinstance(answer, Held) else answer for answer in answers]


def _claims(requests: Mapping[Key, Request], deadline: datetime, ports: Ports) -> dict[Key, Ran | Held]:
    """Claim requests side by side: those that are new many at a time, then the others one by one."""
    claims: dict[Key, Ran | Held] = {}

    def claim_new(keys: Sequence[Key]) -> None:
        claims.update(_claim_new({key: requests[key] for key in keys}, deadline, ports))

    def claim(keys: Sequence[Key]) -> None:
        for key in keys:
            claims[key] = _claim(requests[key], deadline, ports, new=len(requests) == 1)

    if len(requests) > 1:
        ports.side_by_side([partial(claim_new, keys) for keys in chunks(list(requests), STATEMENTS_IN_ONE_WRITE)])
    rest = [key for key in requests if key not in claims]
    ports.side_by_side([partial(claim, rest[lane::AT_ONCE]) for lane in range(min(AT_ONCE, len(rest)))])
    return claims


def _claim_new(requests: Mapping[Key, Request], deadline: datetime, ports: Ports) -> Iterator[tuple[Key, Held]]:
    ports.reached(Point.BEFORE_CLAIM)
    now = ports.clock()
    try:
        claims = ports.ledger.claim_new([*requests.values()], now, deadline + LEASE_GRACE)
    except LedgerUnavailable as error:
        logger.warning("claims failed", error=str(error))  # each is tried once more alone
        return
    ports.reached(Point.AFTER_CLAIM)
    for (key, request), claim in zip(requests.items(), claims, strict=True):
        if claim:
            yield key, Held(claim, now, ports.default_api_version, request.interactive)


def _claim(request: Request, deadline: datetime, ports: Ports, *, new: bool) -> Ran | Held:
    ports.reached(Point.BEFORE_CLAIM)
    now = ports.clock()
    try:
        claim = ports.ledger.claim(request, now, deadline + LEASE_GRACE, new=new)
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
