"""run(): claim, plan, call and settle requests. The same for one request or ten thousand, whatever triggered them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from batch_create.attribution import Fate
from batch_create.calls import Caller
from batch_create.decision import Decision
from batch_create.errors import LeaseLost, LedgerUnavailable, Unavailable
from batch_create.held import Held
from batch_create.ledger import Standing
from batch_create.outcomes import Outcome, Request, Result, Status, new_outcome
from batch_create.overtaken import overtaken
from batch_create.plan import Demand, concerned, plan
from batch_create.ports import Point, Ports
from batch_create.proof import there
from batch_create.telemetry import count, logger

# A holder may need this long after its deadline to write what it knows; until then nobody takes its request over.
LEASE_GRACE = timedelta(seconds=15)
LEDGER_DELAY = timedelta(seconds=30)  # before a request is tried again that the ledger could not be told about


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
    claims: dict[tuple[str, str], Ran | Held] = {}
    for request in requests:
        key = (request.id, request.fingerprint)
        if key not in claims:
            claims[key] = _claim(request, deadline, ports)
    _work({held.outcome.id: held for held in claims.values() if isinstance(held, Held)}, deadline, ports)
    answers = (claims[request.id, request.fingerprint] for request in requests)
    return [Ran(Standing.OURS, answer.outcome) if isinstance(answer, Held) else answer for answer in answers]


def _claim(request: Request, deadline: datetime, ports: Ports) -> Ran | Held:
    ports.reached(Point.BEFORE_CLAIM)
    now = ports.clock()
    try:
        claim = ports.ledger.claim(request, now, deadline + LEASE_GRACE)
    except LedgerUnavailable as error:
        logger.error("claim failed", outcome_id=request.id, error=str(error))
        return Ran(Standing.UNREACHED, _deferred(new_outcome(request, Status.DEFERRED), now))
    if claim.standing is Standing.OURS:
        ports.reached(Point.AFTER_CLAIM)
        return Held(claim, now, ports.default_api_version, request.interactive)
    return Ran(claim.standing, claim.outcome, claim.lease_until)


def _work(held: dict[str, Held], deadline: datetime, ports: Ports) -> None:
    caller = Caller(ports, deadline)
    _look_up_doubtful(held, caller)
    _leave_overtaken(held, ports)
    while demands := [demand for request in held.values() for demand in request.demands()]:
        for call in plan(demands, ports.batch_size):
            for decision in caller.make(call):
                _apply(decision, demands, held)
            # Early, so that a crash later in this run costs this request nothing.
            _settle([request for request in held.values() if not request.outcome.open_inputs], ports)
    _settle(list(held.values()), ports)


def _look_up_doubtful(held: dict[str, Held], caller: Caller) -> None:
    """What may have been sent before without a clear answer is read back before anything is sent again."""
    # In rounds, because of two numbers for one limit only the younger is looked up in one.
    while doubtful := [demand for request in held.values() if request.in_doubt for demand in request.demands()]:
        for call in plan(doubtful, batch_size=len(doubtful)):
            decision = caller.look_up(call)
            for demand, _ in concerned(call, doubtful):
                number = decision.seen.get(demand.item.key)
                request = held[demand.request_id]
                if number == demand.item.max_to_object_ids:
                    request.decide(demand.item.key, there(demand.doubt))  # also the older of two numbers
                elif number is not None:
                    request.was(demand.item.key, number)
            if decision.doubt and decision.doubt.cleared:
                decision.deferral = None  # it is sent in this run
            _apply(decision, doubtful, held, looked_up=True)


def _leave_overtaken(held: dict[str, Held], ports: Ports) -> None:
    """What a younger request has set while an older one waited is not set back."""
    late = [demand for request in held.values() if request.late for demand in request.demands()]
    try:
        for demand, outcome_id in overtaken(late, ports.history):
            held[demand.request_id].supersede(demand.item.key, by=outcome_id)
    except LedgerUnavailable as error:
        logger.error("history unavailable", error=str(error))
        for demand in late:
            held[demand.request_id].defer(Unavailable("the ledger could not be searched for younger requests"))


def _apply(decision: Decision, demands: Sequence[Demand], held: dict[str, Held], *, looked_up: bool = False) -> None:
    decided = list(concerned(decision.call, demands))
    for request_id in {demand.request_id for demand, _ in decided}:
        held[request_id].note(decision)
    for demand, winner in decided:
        request, key = held[demand.request_id], demand.item.key
        fate = decision.fates.get(key)
        if fate is None:
            if decision.doubt and demand.item == winner.item:
                request.doubt(decision.doubt, looked_up=looked_up)
            if decision.deferral:
                request.defer(decision.deferral)
        elif demand.item == winner.item:
            request.decide(key, fate)
        elif fate.result is Result.UNCONFIRMED:
            message = f"outcome {winner.request_id} asked for another number later, and cannot be confirmed"
            request.decide(key, Fate(Result.UNCONFIRMED, message))
        elif fate.result is not Result.REJECTED:
            # A later number that was refused changes nothing: then the earlier one is planned again.
            request.supersede(key, by=winner.request_id)


def _settle(finished: Sequence[Held], ports: Ports) -> None:
    for request in finished:
        if request.settled:
            continue
        request.settled = True
        outcome = request.conclude(ports.clock(), ports.zone(request.outcome.portal), ports.jitter())
        ports.reached(Point.BEFORE_SETTLE)
        try:
            ports.ledger.settle(outcome, request.fence)
        except LeaseLost:
            logger.warning("lease lost", outcome_id=outcome.id)
            request.outcome = _deferred(outcome, ports.clock())
        except LedgerUnavailable as error:
            # Not written is not done: whoever takes it over reads back what we applied.
            logger.error("settle failed", outcome_id=outcome.id, error=str(error))
            request.outcome = _deferred(outcome, ports.clock())
        else:
            ports.reached(Point.AFTER_SETTLE)
            logger.info("settled", outcome_id=outcome.id, status=outcome.status, inputs=len(outcome.inputs))
            count(f"Outcome{outcome.status.title()}")
            if request.misconfigured:
                count("PortalMisconfigured", portal=outcome.portal)


def _deferred(outcome: Outcome, now: datetime) -> Outcome:
    told = {
        "status": Status.DEFERRED,
        "reason": "the ledger could not be written",
        "retry_at": now + LEDGER_DELAY,
    }
    return outcome.model_copy(update={**told, "finished_at": None})
