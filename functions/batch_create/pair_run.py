"""A lane: the claimed requests of one pair, on their way to being settled. Lanes know nothing of each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from math import inf

from aws.dynamodb import STATEMENTS_IN_ONE_WRITE
from batch_create.attribution import Attribution
from batch_create.call_result import Batch, CallResult
from batch_create.claimed_request import ClaimedRequest
from batch_create.dependencies import Dependencies
from batch_create.merged_answer import without_errors
from batch_create.plan import Demand, affected_demands, chunks, is_label, plan
from batch_create.ports import Point
from batch_create.read_back import confirmed, proven
from batch_create.sending import Sender
from batch_create.superseding import find_superseded
from model.contract import LimitKey
from model.errors import LeaseLost, LedgerUnavailable, Unavailable
from model.outcomes import Outcome, Result, Status
from runtime.telemetry import count, logger

LEDGER_RETRY = timedelta(seconds=30)  # before a request is tried again that the ledger could not be told about


class PairRun:
    """Looks up what is in doubt, plans, calls and settles."""

    def __init__(self, requests: Sequence[ClaimedRequest], caller: Sender, dependencies: Dependencies) -> None:
        self._requests = {request.outcome.id: request for request in requests}
        self._caller = caller
        self._dependencies = dependencies
        self._known_of = 1  # call, which each lane is expected to make
        self._sent_twice: set[LimitKey] = set()
        self._waiting: list[CallResult] = []

    def work(self) -> None:
        """Take every request as far as it goes: each is settled, final or DEFERRED."""
        self._read_back_doubtful()
        self._supersede()
        while demands := list(self._demands()):
            self._call(demands)
        self._settle(self._requests.values())

    def _demands(self) -> Iterator[Demand]:
        for request in self._requests.values():
            yield from request.demands()

    def _read_back_doubtful(self) -> None:
        """What may have been sent before without a clear answer is read back before anything is sent again."""
        # In rounds, because of two numbers for one limit only the younger is looked up in one.
        while doubtful := [demand for demand in self._demands() if self._requests[demand.request_id].in_doubt]:
            for call in plan(doubtful, batch_size=len(doubtful)):
                call_result = self._caller.look_up(call)
                for demand, _ in affected_demands(call, doubtful):
                    number = call_result.seen.get(demand.item.key)
                    request = self._requests[demand.request_id]
                    if number == demand.item.max_to_object_ids:
                        request.decide(demand.item.key, confirmed(demand.doubt))  # also the older of two numbers
                    elif number is not None:
                        request.was(demand.item.key, number)
                if call_result.doubt and call_result.doubt.cleared:
                    call_result.deferral = None  # it is sent in this run
                self._apply(call_result, doubtful, looked_up=True)

    def _supersede(self) -> None:
        """What a younger request has set while an older one waited is not set back."""
        late = [demand for demand in self._demands() if self._requests[demand.request_id].late]
        try:
            for demand, outcome_id in find_superseded(late, self._dependencies.history):
                self._requests[demand.request_id].supersede(demand.item.key, by=outcome_id)
        except LedgerUnavailable as error:
            logger.error("history unavailable", error=str(error))
            for demand in late:
                why = Unavailable("the ledger could not be searched for younger requests")
                self._requests[demand.request_id].defer(why)

    def _call(self, demands: Sequence[Demand]) -> None:
        """Make the calls of one plan."""
        calls = list(plan(demands, self._dependencies.batch_size))
        self._caller.expect(calls[0].portal, len(calls) - self._known_of)
        self._known_of = 0
        lowered = False
        for call in calls:
            for call_result in self._caller.make(call):
                lowered |= self._postpone_object_limits(call_result, demands)
                touched = self._apply(call_result, demands)
                # Early, so that a crash later in this run costs this request nothing.
                self._settle([request for request in touched if not request.outcome.open_inputs])
        if not lowered:
            # No label was lowered after all: what was refused stays so.
            for call_result in self._waiting:
                self._apply(call_result, demands)
        self._waiting.clear()

    def _postpone_object_limits(self, call_result: CallResult, demands: Sequence[Demand]) -> bool:
        """A label's limit must not be above the object limit, so that object limits are sent first. Where both are
        lowered that is the wrong order, and HubSpot refuses the object limit: it is sent once more after the label's.

        Takes such refusals out of a call_result. Returns whether it has set a label's limit.
        """
        labels = {demand.item.key: demand.item.max_to_object_ids for demand in demands if is_label(demand.item)}
        was_set = [
            key
            for key in labels.keys() & call_result.attributions.keys()
            if call_result.attributions[key].result is Result.APPLIED
        ]
        accepted = call_result.batch is Batch.ACCEPTED
        hoped_for = was_set if accepted else labels.keys() & {demand.item.key for demand in self._demands()}
        lowest = min((labels[key] for key in hoped_for), default=inf)
        refused: dict[LimitKey, Attribution] = {}
        for item in call_result.call.inputs:
            attribution = call_result.attributions.get(item.key)
            again = not is_label(item) and lowest <= item.max_to_object_ids and item.key not in self._sent_twice
            if again and attribution and attribution.result is Result.REJECTED and not attribution.exists:
                refused[item.key] = call_result.attributions.pop(item.key)
        self._sent_twice.update(refused)
        if refused and accepted and call_result.said:
            call_result.said = without_errors(
                call_result.said, [attribution.message or "" for attribution in refused.values()]
            )
        elif refused:
            self._waiting.append(CallResult(call_result.call, refused, said=call_result.said))
            call_result.said = None
        return bool(was_set)

    def _apply(
        self, call_result: CallResult, demands: Sequence[Demand], *, looked_up: bool = False
    ) -> list[ClaimedRequest]:
        """Tell a call_result to the requests that it is about, and return these."""
        decided = list(affected_demands(call_result.call, demands))
        touched = [
            self._requests[request_id] for request_id in dict.fromkeys(demand.request_id for demand, _ in decided)
        ]
        for request in touched:
            request.note(call_result)
        for demand, winner in decided:
            request, key = self._requests[demand.request_id], demand.item.key
            attribution = call_result.attributions.get(key)
            if attribution is None:
                if call_result.doubt and demand.item == winner.item:
                    request.doubt(call_result.doubt, looked_up=looked_up)
                if call_result.deferral:
                    request.defer(call_result.deferral)
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
        for group in chunks([request for request in finished if not request.settled], STATEMENTS_IN_ONE_WRITE):
            for request in group:
                request.settled = True
                request.conclude(
                    self._dependencies.clock(),
                    self._dependencies.zone(request.outcome.portal),
                    self._dependencies.jitter(),
                )
            written = self._written(group) if len(group) > 1 else [False]
            for request, done in zip(group, written, strict=True):
                if done or self._written_alone(request):
                    self._settled(request)

    def _written(self, group: Sequence[ClaimedRequest]) -> Sequence[bool]:
        """Write what became of some requests, all at once; of each whether it was written."""
        self._dependencies.reached(Point.BEFORE_SETTLE)
        try:
            written = self._dependencies.ledger.settle_many([(request.outcome, request.fence) for request in group])
        except LedgerUnavailable as error:
            logger.warning("settlements failed", error=str(error))  # each is tried once more alone
            return [False] * len(group)
        self._dependencies.reached(Point.AFTER_SETTLE)
        return written

    def _written_alone(self, request: ClaimedRequest) -> bool:
        self._dependencies.reached(Point.BEFORE_SETTLE)
        outcome = request.outcome
        try:
            self._dependencies.ledger.settle(outcome, request.fence)
        except LeaseLost:
            logger.warning("lease lost", outcome_id=outcome.id)
            request.outcome = unsettled(outcome, self._dependencies.clock())
            return False
        except LedgerUnavailable as error:
            # Not written is not done: whoever takes it over reads back what we applied.
            logger.error("settle failed", outcome_id=outcome.id, error=str(error))
            request.outcome = unsettled(outcome, self._dependencies.clock())
            return False
        self._dependencies.reached(Point.AFTER_SETTLE)
        return True

    def _settled(self, request: ClaimedRequest) -> None:
        outcome = request.outcome
        logger.info("settled", outcome_id=outcome.id, status=outcome.status, inputs=len(outcome.inputs))
        count(f"Outcome{outcome.status.title()}")
        if request.misconfigured:
            count("PortalMisconfigured", portal=outcome.portal)


def unsettled(outcome: Outcome, now: datetime) -> Outcome:
    """The outcome as a caller is told of it when the ledger could not be."""
    told = {
        "status": Status.DEFERRED,
        "reason": "the ledger could not be written",
        "retry_at": now + LEDGER_RETRY,
    }
    return outcome.model_copy(update={**told, "finished_at": None})
