"""run(): claim, plan, call and settle requests. The same for one request or ten thousand, whatever triggered them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from batch_create.authorised_call import AuthorisedCalls
from batch_create.claimed_request import ClaimedRequest
from batch_create.dependencies import Dependencies
from batch_create.pair_run import PairRun, unsettled
from batch_create.plan import chunks, round_robin
from batch_create.ports import Point
from batch_create.sending import Sender
from ledger.claim import CLAIMED_TOGETHER, Claim, ClaimStatus
from model.errors import LedgerUnavailable
from model.outcomes import Request, Status, new_outcome
from model.pair import Pair
from runtime.concurrency import MAX_THREADS
from runtime.telemetry import logger

# A worker may need this long after its deadline to settle; until then nobody takes over its requests.
LEASE_GRACE = timedelta(seconds=15)

Key = tuple[str, str]  # a request's id and fingerprint
Ask = Callable[[Sequence[Request], datetime, datetime], Sequence[Claim | None]]


def run(requests: Sequence[Request], seconds: float, deps: Dependencies) -> list[Claim]:
    """Set the limits that `requests` ask for, within `seconds`. One claim per request, in their order.

    CLAIMED: it was run here, and the claim's `outcome` is final or DEFERRED until its `retry_at`. FINAL: it was done
    before. LEASED: another worker has it until `lease_until`. DEFERRED: it waits in the queue for its `retry_at`.
    KEY_REUSED: its id belongs to another request, whose `outcome` this is. LEDGER_UNAVAILABLE: nothing was done.
    """
    deadline = deps.clock() + timedelta(seconds=seconds)
    # The same request may come twice in one batch: it is claimed once, and both get the one answer.
    distinct: dict[Key, Request] = {(request.id, request.fingerprint): request for request in requests}
    claims = _claims(distinct, deadline, deps)
    _work([claim for key in distinct if isinstance(claim := claims[key], ClaimedRequest)], deadline, deps)
    answers = (claims[request.id, request.fingerprint] for request in requests)
    return [
        Claim(ClaimStatus.CLAIMED, answer.outcome) if isinstance(answer, ClaimedRequest) else answer
        for answer in answers
    ]


def _claims(
    requests: Mapping[Key, Request], deadline: datetime, deps: Dependencies
) -> dict[Key, Claim | ClaimedRequest]:
    """Claim requests side by side: those that are new many at a time, then the others one by one."""
    claims: dict[Key, Claim | ClaimedRequest] = {}

    def claim(keys: Sequence[Key], ask: Ask) -> None:
        deps.reached(Point.BEFORE_CLAIM)
        now = deps.clock()
        try:
            answers = ask([requests[key] for key in keys], now, deadline + LEASE_GRACE)
        except LedgerUnavailable as error:
            for key in keys:
                logger.error("claim failed", outcome_id=requests[key].id, error=str(error))
                outcome = unsettled(new_outcome(requests[key], Status.DEFERRED), now)
                claims[key] = Claim(ClaimStatus.LEDGER_UNAVAILABLE, outcome)
            return
        if any(answer and answer.claim_status is ClaimStatus.CLAIMED for answer in answers):
            deps.reached(Point.AFTER_CLAIM)
        for key, answer in zip(keys, answers, strict=True):
            if answer and answer.claim_status is ClaimStatus.CLAIMED:
                claims[key] = ClaimedRequest(answer, now, deps.default_api_version, requests[key].interactive)
            elif answer:
                claims[key] = answer

    def claim_one_by_one(keys: Sequence[Key]) -> None:
        for key in keys:
            claim([key], lambda asked, now, until: [deps.ledger.claim(each, now, until) for each in asked])

    new = chunks(list(requests), CLAIMED_TOGETHER)
    deps.side_by_side([partial(claim, keys, deps.ledger.claim_new) for keys in new])
    rest = [key for key in requests if key not in claims]
    shares = [rest[first::MAX_THREADS] for first in range(min(MAX_THREADS, len(rest)))]
    deps.side_by_side([partial(claim_one_by_one, keys) for keys in shares])
    return claims


def _work(claimed: Sequence[ClaimedRequest], deadline: datetime, deps: Dependencies) -> None:
    """Take requests as far as they go, those of different pairs side by side."""
    pairs: dict[tuple[str, Pair], list[ClaimedRequest]] = defaultdict(list)
    for request in claimed:
        pairs[request.outcome.portal, request.pair].append(request)
    calls = AuthorisedCalls(deps, deadline, urgent=any(request.interactive for request in claimed))
    for portal, _ in pairs:
        calls.expect(portal, 1)
    runs = [PairRun(pairs[key], Sender(deps, deadline, calls), deps) for key in round_robin(pairs)]
    deps.side_by_side([each.run for each in runs])
