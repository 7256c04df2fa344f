"""The claimed requests of one pair, on their way to being settled. Runs of different pairs share nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from math import inf

from batch_create.attribution import Attribution
from batch_create.call_result import Batch, CallResult
from batch_create.claimed_request import ClaimedRequest
from batch_create.dependencies import Dependencies
from batch_create.plan import Demand, DemandsByLimit, affected_demands, by_limit, is_label, plan
from batch_create.ports import Point
from batch_create.read_back import confirmed, proven
from batch_create.sending import Sender
from batch_create.superseding import find_superseded
from model.contract import LimitKey
from model.errors import LeaseLost, LedgerUnavailable, Unavailable
from model.outcomes import Outcome, Result, Status
from runtime.telemetry import count, logger

LEDGER_RETRY = timedelta(seconds=30)  # before another try of a request that could not be written


class PairRun:
    """Reads back what is in doubt, plans, calls and settles."""

    def __init__(self, requests: Sequence[ClaimedRequest], sender: Sender, deps: Dependencies) -> None:
        self._requests = {request.outcome.id: request for request in requests}
        self._sender = sender
        self._deps = deps
        self._expected = 1  # call, which each pair is expected to make
        self._sent_twice: set[LimitKey] = set()

    def run(self) -> None:
        """Take every request as far as it goes: each is settled, final or DEFERRED."""
        self._resolve_doubts()
        self._supersede()
        while demands := self._demands():
            self._call(demands)
        self._settle(self._requests.values())

    def _demands(self) -> list[Demand]:
        return [demand for request in self._requests.values() for demand in request.demands()]

    def _resolve_doubts(self) -> None:
        """Read back what an earlier run may have sent without a clear answer, before anything is sent again."""
        # In rounds: of two numbers for one limit, each round is about the younger.
        while doubtful := [demand for demand in self._demands() if self._requests[demand.request_id].in_doubt]:
            limits = by_limit(doubtful)
            for call in plan(doubtful, batch_size=len(doubtful)):
                result = self._sender.read_back(call)
                for demand, _ in affected_demands(call, limits):
                    number = result.read.get(demand.item.key)
                    request = self._requests[demand.request_id]
                    if number == demand.item.max_to_object_ids:
                        request.decide(demand.item.key, confirmed(demand.doubt))  # also the older of two numbers
                    elif number is not None:
                        request.note_previous(demand.item.key, number)
                if result.doubt and result.doubt.cleared:
                    result.deferral = None  # it is sent in this run
                self._apply(result, limits, looked_up=True)

    def _supersede(self) -> None:
        """Leave what younger requests have set while an older one waited."""
        late = [demand for demand in self._demands() if self._requests[demand.request_id].is_late]
        try:
            for demand, outcome_id in find_superseded(late, self._deps.history):
                self._requests[demand.request_id].supersede(demand.item.key, by=outcome_id)
        except LedgerUnavailable as error:
            logger.error("history unavailable", error=str(error))
            why = Unavailable("the ledger could not be searched for younger requests")
            for demand in late:
                self._requests[demand.request_id].defer(why)

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
                # Early, so that a crash later in this run costs this request nothing.
                self._settle([request for request in touched if request.decided])
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
                message = f"outcome {winner.request_id} asked for another number later, and cannot be confirmed"
                request.decide(key, Attribution(Result.UNCONFIRMED, message))
            elif attribution.result is not Result.REJECTED:
                # A later number that was refused changes nothing: then the earlier one is planned again.
                request.supersede(key, by=winner.request_id)
        return touched

    def _settle(self, finished: Iterable[ClaimedRequest]) -> None:
        requests = [request for request in finished if not request.settled]
        for request in requests:
            request.settled = True
            zone = self._deps.zone(request.outcome.portal)
            request.conclude(self._deps.clock(), zone, self._deps.jitter())
        written: Sequence[bool] = [False] * len(requests)
        if len(requests) > 1:
            self._deps.reached(Point.BEFORE_SETTLE)
            written = self._deps.ledger.settle_many([(each.outcome, each.fence) for each in requests])
            if any(written):
                self._deps.reached(Point.AFTER_SETTLE)
        for request, done in zip(requests, written, strict=True):
            if not done and not self._written_alone(request):
                continue
            outcome = request.outcome
            logger.info("settled", outcome_id=outcome.id, status=outcome.status, inputs=len(outcome.inputs))
            count(f"Outcome{outcome.status.title()}")
            if request.misconfigured:
                count("PortalMisconfigured", portal=outcome.portal)

    def _written_alone(self, request: ClaimedRequest) -> bool:
        self._deps.reached(Point.BEFORE_SETTLE)
        outcome = request.outcome
        try:
            self._deps.ledger.settle(outcome, request.fence)
        except (LeaseLost, LedgerUnavailable) as error:
            # Not written is not done: whoever takes it over reads back what was applied.
            logger.error("settle failed", outcome_id=outcome.id, reason=type(error).__name__, error=str(error))
            request.outcome = unsettled(outcome, self._deps.clock())
            return False
        self._deps.reached(Point.AFTER_SETTLE)
        return True


def unsettled(outcome: Outcome, now: datetime) -> Outcome:
    """The outcome as its caller gets it when the ledger could not be written."""
    return replace(
        outcome,
        status=Status.DEFERRED,
        reason="the ledger could not be written",
        retry_at=now + LEDGER_RETRY,
        finished_at=None,
    )


def _is_set(key: LimitKey, result: CallResult) -> bool:
    return key in result.attributions and result.attributions[key].result is Result.APPLIED
