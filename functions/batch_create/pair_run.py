"""The claimed requests of one pair, on their way to being settled. Runs of different pairs share nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import inf

from batch_create.attribution import Attribution
from batch_create.call_result import Batch, CallResult
from batch_create.claimed_request import ClaimedRequest
from batch_create.dependencies import Dependencies
from batch_create.order import Verification, record, respect, unconfirmed_by
from batch_create.plan import Demand, DemandsByLimit, affected_demands, by_limit, is_label, plan
from batch_create.read_back import confirmed, proven
from batch_create.sending import Sender
from batch_create.settling import settle
from ledger.leases import Lease
from model.contract import LimitKey
from model.errors import PortalEnded
from model.outcomes import Result, Verdict
from model.records import milliseconds


class PairRun:
    """Under a lease: reads back what is in doubt, plans, calls, settles and gives the pair back."""

    def __init__(self, requests: Sequence[ClaimedRequest], lease: Lease, sender: Sender, deps: Dependencies) -> None:
        self._requests = {request.outcome.id: request for request in requests}
        self._lease = lease
        self._sender = sender
        self._deps = deps
        self._expected = 1  # call, which each pair is expected to make
        self._sent_twice: set[LimitKey] = set()
        self._verification = Verification(lease, sender, deps)

    def run(self) -> None:
        """Take every request as far as it goes: each is settled, final or DEFERRED."""
        self._verification.verify(self._demands, self._requests, self._now())
        self._resolve_doubts()
        if self._lease.register.sends:
            self._verification.await_landings(self._requests, self._ordered(), self._now())
        while demands := self._ordered():
            self._call(demands)
        if isinstance(ended := self._sender.calls.down(self._lease.wanted.portal), PortalEnded):
            for request in self._requests.values():
                request.defer(ended)  # whatever else it waits for
        settle(self._requests.values(), self._deps, self._lease)

    def _now(self) -> int:
        return milliseconds(self._deps.clock())

    def _demands(self) -> list[Demand]:
        return [demand for request in self._requests.values() for demand in request.demands()]

    def _ordered(self) -> list[Demand]:
        """The demands that may be sent now."""
        demands = self._demands()
        changed = respect(self._requests, demands, self._lease.register, self._now())
        return self._demands() if changed else demands

    def _resolve_doubts(self) -> None:
        """Read back what an earlier run may have sent without a clear answer, before anything is sent again."""
        # In rounds: of two numbers for one limit, each round is about the younger.
        while any(request.in_doubt for request in self._requests.values()):
            doubtful = [demand for demand in self._ordered() if self._requests[demand.request_id].in_doubt]
            if not doubtful:
                return
            limits = by_limit(doubtful)
            for call in plan(doubtful, batch_size=len(doubtful)):
                result = self._sender.read_back(call)
                if any(attempt.verdict is Verdict.READ_BACK for attempt in result.attempts):
                    self._verification.readable = True
                for demand, _ in affected_demands(call, limits):
                    key, number = demand.item.key, result.read.get(demand.item.key)
                    request = self._requests[demand.request_id]
                    if number is None or self._lease.register.explains(key, number, self._now()):
                        continue
                    if number == demand.item.max_to_object_ids:
                        request.decide(key, confirmed(demand.doubt))  # also the older of two numbers
                    else:
                        request.note_previous(key, number)
                if result.doubt and result.doubt.cleared:
                    result.deferral = None  # it is sent in this run
                self._apply(result, limits, looked_up=True)

    def _call(self, demands: Sequence[Demand]) -> None:
        """Make the calls of one plan.

        A label's limit must not be above the object limit, so that object limits are sent first. Where both are lowered
        that is the wrong order, and HubSpot refuses the object limit: it is sent once more after the label's.
        """
        calls = list(plan(demands, self._deps.batch_size))
        limits = by_limit(demands)
        labels = {demand.item.key: demand.item.max_to_object_ids for demand in demands if is_label(demand.item)}
        self._sender.calls.expect(calls[0].portal, len(calls) - self._expected)
        self._expected = 0
        lowered = False
        refused: list[CallResult] = []
        for call in calls:
            for result in self._sender.send(call):
                lowered |= any(_is_set(key, result) for key in labels)
                refused += self._postponed(result, labels)
                touched = self._apply(result, limits)
                if any(not request.decided for request in self._requests.values()):
                    # Early, so that a crash later in this run costs this request nothing.
                    settle([request for request in touched if request.decided], self._deps)
        if not lowered:
            for result in refused:  # and no second try can help
                self._apply(result, limits)

    def _postponed(self, result: CallResult, labels: Mapping[LimitKey, int]) -> Iterator[CallResult]:
        """Take out of a result those refusals of object limits that the labels' limits may have caused: each is sent
        once more. Where the batch was accepted only the labels set with it can help, else all that are to come."""
        accepted = result.batch is Batch.ACCEPTED
        helpful = [number for key, number in labels.items() if not accepted or _is_set(key, result)]
        lowest = min(helpful, default=inf)
        refused: dict[LimitKey, Attribution] = {}
        for item in result.call.inputs:
            attribution = result.attributions.get(item.key)
            again = not is_label(item) and lowest <= item.max_to_object_ids and item.key not in self._sent_twice
            if again and attribution and attribution.result is Result.REJECTED and not attribution.exists:
                refused[item.key] = result.attributions.pop(item.key)
        self._sent_twice.update(refused)
        if refused and not accepted:
            yield CallResult(result.call, refused, response=result.response)
            result.response = None

    def _apply(self, result: CallResult, limits: DemandsByLimit, *, looked_up: bool = False) -> list[ClaimedRequest]:
        """Hand a result to the requests that it is about, and return these."""
        decided = list(affected_demands(result.call, limits))
        ids = dict.fromkeys(demand.request_id for demand, _ in decided)
        touched = [self._requests[request_id] for request_id in ids]
        record(result, self._lease.register, self._now(), sent=not looked_up)
        for request in touched:
            request.record(result)
        for demand, winner in decided:
            request, key = self._requests[demand.request_id], demand.item.key
            attribution = result.attributions.get(key)
            if attribution is None:
                if result.doubt and demand.item == winner.item:
                    request.doubt_send(result.doubt, looked_up=looked_up)
                if result.deferral:
                    request.defer(result.deferral)
            elif demand.item == winner.item:
                request.decide(key, proven(attribution))
            elif attribution.result is Result.UNCONFIRMED:
                request.decide(key, unconfirmed_by(winner.request_id))
            elif attribution.result is not Result.REJECTED:
                # A later number that was refused changes nothing: then the earlier one is planned again.
                request.supersede(key, by=winner.request_id)
        return touched


def _is_set(key: LimitKey, result: CallResult) -> bool:
    return key in result.attributions and result.attributions[key].result is Result.APPLIED
