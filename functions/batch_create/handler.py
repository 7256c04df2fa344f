"""run(): claim, plan, call and settle requests. The same for one request or ten thousand, whatever triggered them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial

from batch_create.authorised_call import AuthorisedCalls
from batch_create.claiming import Claiming, adopt
from batch_create.dependencies import Dependencies
from batch_create.pair_run import PairRun
from batch_create.plan import chunks, round_robin
from batch_create.ports import Point
from batch_create.sending import Sender
from batch_create.settling import settle
from batch_create.waiting import Denied, Waiting
from ledger.claim import Claim
from ledger.leases import NAMED, Lease, Taken, Wanted
from ledger.register import possible_sends
from model.errors import HubSpotFailure, Refused, Unavailable
from model.outcomes import Request
from model.pair import Pair
from model.records import milliseconds
from runtime.concurrency import MAX_THREADS

# A lease ends so long after the run's deadline. The invocation's hard end comes first: at most 8 s after the deadline,
# in the consumer, which sends on what must wait. The rest is for the difference of two clocks.
LEASE_GRACE = timedelta(seconds=20)
# Pairs that one thread takes together: few, as the last of them waits in its hands until the others are done.
PAIRS_TOGETHER = 5


def run(
    requests: Sequence[Request], seconds: float, deps: Dependencies, verify: Sequence[tuple[str, Pair]] = ()
) -> list[Claim]:
    """Set the limits that `requests` ask for, within `seconds`, and read the pairs that are to be verified. One claim
    per request, in their order.

    CLAIMED: it was run here, or by the worker that held its pair, and the claim's `outcome` is final or DEFERRED until
    its `retry_at`. Or, as QUEUED: another worker holds its pair for long, and it is to come again at `lease_until`.
    FINAL: it was done before. LEASED: another worker has it until `lease_until`; or has had its pair for long, and its
    message, read for the first time, is to come again then. DEFERRED: its time, `retry_at`, has not come. KEY_REUSED:
    its id belongs to another request, whose `outcome` this is. LEDGER_UNAVAILABLE: nothing was done.
    """
    # The same request may come twice in one batch: it is run once, and both get the one answer.
    distinct: dict[str, Request] = {}
    for request in requests:
        distinct.setdefault(request.id, request)
    claims = _Run(seconds, deps).of(list(distinct.values()), verify)
    others = [each for each in requests if not _same(each, distinct[each.id])]
    of_others = dict(zip(map(id, others), run(others, seconds, deps), strict=True)) if others else {}
    return [of_others.get(id(request)) or claims[request.id] for request in requests]


def _same(one: Request, other: Request) -> bool:
    return one is other or one.envelope == other.envelope or one.fingerprint == other.fingerprint


def _wanted(portal: str, pair: Pair, requests: Sequence[Request]) -> Wanted:
    spelt = frozenset((each.envelope.from_object_type, each.envelope.to_object_type) for each in requests)
    return Wanted(portal, pair, tuple(each.id for each in requests), spelt)


def _shares(requests: Sequence[Request]) -> Iterator[Sequence[Request]]:
    """The requests of a pair, as many at a time as a lease can name: mostly all of them."""
    share: list[Request] = []
    characters = 0
    for request in requests:
        if characters + len(request.id) > NAMED:
            yield share
            share, characters = [], 0
        share.append(request)
        characters += len(request.id) + 1
    yield share


class _Run:
    """One run, in one holder's name."""

    def __init__(self, seconds: float, deps: Dependencies) -> None:
        self._deps = deps
        self._deadline = deps.clock() + timedelta(seconds=seconds)
        self._claiming = Claiming(deps.new_id(), self._deadline + LEASE_GRACE, deps)
        self._waiting = Waiting(self._claiming, deps, self._take)
        self._calls = AuthorisedCalls(deps, self._deadline)

    def of(self, requests: Sequence[Request], verify: Sequence[tuple[str, Pair]]) -> dict[str, Claim]:
        """The claims by their ids."""
        self._calls.urgent = any(request.interactive for request in requests)
        by_pair: dict[tuple[str, Pair], list[Request]] = defaultdict(list, {each: [] for each in verify})
        for request in requests:
            if pair := self._pair(request):
                by_pair[request.envelope.portal, pair].append(
                    request if request.pair else replace(request, resolved=pair)
                )
        for portal, _ in by_pair:
            self._calls.expect(portal, 1)
        rounds = {each: list(_shares(by_pair[each])) for each in round_robin(by_pair)}
        for number in range(max(map(len, rounds.values()), default=0)):
            wanted = {
                _wanted(portal, pair, shares[number]): shares[number]
                for (portal, pair), shares in rounds.items()
                if number < len(shares)
            }
            in_time = number == 0 or self._seconds() > 0
            self._waiting.wait(self._take(wanted) if in_time else wanted, self._seconds())
        return self._claiming.answers()

    def _seconds(self) -> float:
        return (self._deadline - self._deps.clock()).total_seconds()

    def _pair(self, request: Request) -> Pair | None:
        """The pair that a request is about. A request with a type that HubSpot does not know is REJECTED, and one about
        which it could not be asked is DEFERRED: then None."""
        if request.pair:
            return request.pair
        portal, named = request.envelope.portal, (request.envelope.from_object_type, request.envelope.to_object_type)
        try:
            return Pair(*(self._deps.object_types.resolve(portal, name, self._seconds()) for name in named))
        except HubSpotFailure as failure:
            self._claiming.one(request)
            for claimed in self._claiming.own([request]):
                if isinstance(failure, Refused):
                    claimed.reject(str(failure))
                else:
                    claimed.defer(failure)
                settle([claimed], self._deps)
            return None

    def _take(self, wanted: Denied) -> Denied:
        """Take pairs and run their requests, side by side. Returns those that others hold."""
        denied: dict[Wanted, Sequence[Request]] = {}

        def take_some(some: Sequence[Wanted]) -> None:
            held: list[tuple[Lease, Sequence[Request]]] = []
            for each, taken in zip(some, self._leases({each: wanted[each] for each in some}), strict=True):
                if isinstance(taken, Lease):
                    held.append((taken, [] if taken.orphans_first else wanted[each]))
                elif taken:
                    self._claiming.ledger_unavailable(wanted[each], taken)
                if not isinstance(taken, Lease) or taken.orphans_first:
                    denied[each] = wanted[each]
            self._claiming.many([request for _, requests in held for request in requests])
            for lease, requests in held:
                self._run(requests, lease)

        together = max(1, min(PAIRS_TOGETHER, -(-len(wanted) // MAX_THREADS)))
        self._deps.side_by_side([partial(take_some, some) for some in chunks(list(wanted), together)])
        return {each: left for each in denied if (left := self._unfinished(denied[each]))}

    def _unfinished(self, requests: Sequence[Request]) -> list[Request]:
        """Those that this run has claimed and not run yet, and those that it knows nothing of."""
        own = {request.outcome.id for request in self._claiming.own(requests)}
        return [each for each in requests if each.id in own or each.id not in self._claiming.known]

    def _leases(self, wanted: Denied) -> Sequence[Taken]:
        ((first, requests), *more) = wanted.items()
        alone = not more and len(requests) == 1 and requests[0].outcome_id is None
        if alone and requests[0].id not in self._claiming.known:
            return [self._claiming.with_pair(requests[0], first)]
        self._deps.reached(Point.BEFORE_CLAIM)
        return self._deps.leases.take_many(
            list(wanted), self._claiming.holder, self._deps.clock(), self._claiming.until
        )

    def _run(self, requests: Sequence[Request], lease: Lease) -> None:
        adopted, known = adopt(lease, self._deps)
        known &= self._claiming.enter_own(lease)
        own = [each for each in self._claiming.own(requests) if self._waiting.has_kept(lease.wanted, each)]
        self._calls.urgent |= any(request.interactive for request in adopted)
        claimed = [*own, *adopted]
        for each in claimed:
            if each.abandoned:  # its last holder may have sent it, until its lease was over at the latest
                for sent in possible_sends(each.outcome, lease.died_by or milliseconds(self._deps.clock())):
                    lease.register.send(sent)
        if known:
            PairRun(claimed, lease, Sender(self._deps, self._deadline, self._calls, lease.register), self._deps).run()
            return
        # What was sent is not known, so nothing may be sent; and the lease is kept, which names what may have been.
        for each in claimed:
            each.defer(Unavailable("the ledger could not be asked what an earlier worker has sent"))
        settle(claimed, self._deps)
