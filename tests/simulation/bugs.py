"""Bugs to plant, each of which the simulation must find: what this service would be without one of its rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import consumer
import dead_letters
import redelivery
from aws.dynamodb import Table, Written
from batch_create import handler, pair_run, plan, read_back, sending, settling
from batch_create.attribution import Attribution
from batch_create.call_result import CallResult
from batch_create.claimed_request import ClaimedRequest
from batch_create.order import Verification
from batch_create.pair_run import PairRun
from batch_create.read_back import ReadBack
from batch_create.sending import Sender
from hubspot_api import client, retry_policy
from ledger import leases, ledger
from ledger.claim import Claim, Claims
from ledger.gates import Gates
from ledger.leases import FREE, Leases, Taken, Wanted
from ledger.ledger import Ledger
from ledger.register import Applied, Register
from model import outcomes
from model.errors import HubSpotFailure, Unavailable
from model.outcomes import Doubt, Result, Status
from model.records import milliseconds
from tokens.access_tokens import AccessTokens
from tokens.credentials import Credentials

Put = Callable[[Any, str, Any], None]
BUGS: dict[str, tuple[Callable[[Put], None], int, int]] = {}


def bug(seed: int, requests: int = 25) -> Callable[[Callable[[Put], None]], Callable[[Put], None]]:
    """Name a bug after its function. `seed` is one that found it with so many `requests`: it is tried first."""

    def named(plant: Callable[[Put], None]) -> Callable[[Put], None]:
        BUGS[plant.__name__] = plant, seed, requests
        return plant

    return named


@contextmanager
def planted(name: str) -> Iterator[None]:
    """The code with that bug in it."""
    undo: list[tuple[Any, str, Any]] = []

    def put(owner: Any, attribute: str, value: Any) -> None:
        undo.append((owner, attribute, owner.__dict__[attribute]))
        setattr(owner, attribute, value)

    BUGS[name][0](put)
    try:
        yield
    finally:
        for owner, attribute, value in reversed(undo):
            setattr(owner, attribute, value)


def _conditions(put: Put, old: str, new: str) -> None:
    """Let every conditional update be made with a part of its condition rewritten."""
    update = Table.update

    def rewritten(self: Table, item_id: str, values: Any, *, condition: str, **rest: Any) -> Any:
        return update(self, item_id, values, condition=condition.replace(old, new), **rest)

    put(Table, "update", rewritten)


# --------------------------------------------------------------------------------------------------------- the ledger
@bug(8)
def take_over_what_runs_elsewhere(put: Put) -> None:
    _conditions(put, "leaseUntil < :now", "attribute_exists(leaseUntil)")


@bug(2)
def run_what_is_finished_again(put: Put) -> None:
    _conditions(put, "#status = :queued", "attribute_exists(id)")


@bug(6)
def do_not_notice_that_a_holder_died(put: Put) -> None:
    claim = Claims.claim

    def blind(self: Claims, *arguments: Any) -> Claim:
        return replace(claim(self, *arguments), abandoned=False)

    put(Claims, "claim", blind)


@bug(10)
def forget_the_doubt_between_two_runs(put: Put) -> None:
    put(ledger, "SETTLED", tuple(name for name in ledger.SETTLED if name != "doubt"))


@bug(2)
def overwrite_the_attempts_recorded_before(put: Put) -> None:
    record = ClaimedRequest.record

    def forgetful(self: ClaimedRequest, result: CallResult) -> None:
        self.outcome = replace(self.outcome, attempts=())
        self._attempts.clear()
        record(self, result)

    put(ClaimedRequest, "record", forgetful)


@bug(9)
def answer_with_what_hubspot_said_of_others(put: Put) -> None:
    put(ClaimedRequest, "_is_alone_in", lambda self, call: True)


@bug(8)
def sweep_nothing(put: Put) -> None:
    put(Ledger, "unfinished", lambda self, portal, now: iter(()))


@bug(2, requests=100)
def park_where_nobody_looks(put: Put) -> None:
    put(ledger, "waiting_attributes", lambda outcome: {})


@bug(6, requests=100)
def take_what_could_not_be_settled_for_parked(put: Put) -> None:
    sweep_nothing(put)  # else the sweep would make it good
    put(settling, "unsettled", lambda outcome, now: outcome)


@bug(2, requests=100)
def write_no_gate(put: Put) -> None:
    put(Gates, "wait", lambda self, portal, due, now: None)


@bug(2)
def list_no_pair(put: Put) -> None:
    put(leases, "_listed", lambda wanted: {})


# ---------------------------------------------------------------------------------------------------------- the queue
@bug(1)
def acknowledge_before_it_is_settled(put: Put) -> None:
    sweep_nothing(put)  # else the sweep would make it good
    put(consumer, "try_again", lambda unfinished, *rest, **times: [])


@bug(7, requests=60)
def send_on_what_the_ledger_does_not_know(put: Put) -> None:
    put(redelivery, "BY_ITSELF", ())


@bug(95, requests=60)
def give_a_letter_up_without_a_run(put: Put) -> None:
    put(dead_letters, "RUNS", 0)


# -------------------------------------------------------------------------------------------------- uncertain answers
@bug(3)
def resend_without_reading_back(put: Put) -> None:
    def clear(self: ReadBack, call_result: CallResult, doubt: Doubt, why: str) -> None:
        for key in call_result.open:
            call_result.attributions.pop(key, None)
        call_result.doubt = replace(doubt, cleared=True)
        call_result.deferral = Unavailable(why)

    put(ReadBack, "resolve_doubt", clear)


@bug(3)
def take_an_uncertain_answer_for_success(put: Put) -> None:
    def trust(self: ReadBack, call_result: CallResult, doubt: Doubt, why: str) -> None:
        for key in call_result.open:
            call_result.attributions[key] = Attribution(Result.APPLIED)

    put(ReadBack, "resolve_doubt", trust)


@bug(4)
def believe_a_single_reading(put: Put) -> None:
    put(read_back, "PAUSE", 0.0)


@bug(3)
def believe_a_refusal_after_a_doubt(put: Put) -> None:
    put(ReadBack, "verify_refusals", lambda self, call_result: None)


@bug(8)
def take_a_timeout_for_nothing_sent(put: Put) -> None:
    def failure(error: Exception, *, sent: bool) -> HubSpotFailure:
        return Unavailable("HubSpot could not be reached")

    put(client, "_transport_failure", failure)


@bug(4)
def take_a_5xx_for_nothing_applied(put: Put) -> None:
    put(retry_policy, "OTHER_5XX", retry_policy.Rule(Unavailable))


@bug(3)
def take_a_207_for_success(put: Put) -> None:
    put(sending, "attribute", lambda asked, answer: {item.key: Attribution(Result.APPLIED) for item in asked})


# ------------------------------------------------------------------------------------------------- one call for many
@bug(2)
def refuse_the_good_inputs_with_the_bad(put: Put) -> None:
    def all_refused(self: Sender, call: plan.Call, *, may_probe: bool) -> Iterator[CallResult]:
        yield CallResult(
            call, {item.key: Attribution(Result.REJECTED, "the batch was refused") for item in call.inputs}
        )

    put(Sender, "_halved", all_refused)


@bug(21)
def supersede_by_what_was_refused(put: Put) -> None:
    apply = PairRun._apply

    def hasty(self: PairRun, call_result: CallResult, demands: Any, **rest: Any) -> list[ClaimedRequest]:
        touched = apply(self, call_result, demands, **rest)
        for demand, winner in plan.affected_demands(call_result.call, demands):
            if demand.item != winner.item and winner.item.key in call_result.attributions:
                self._requests[demand.request_id].supersede(demand.item.key, by=winner.request_id)
        return touched

    put(PairRun, "_apply", hasty)


@bug(7)
def take_the_later_number_for_the_earlier_one(put: Put) -> None:
    apply = PairRun._apply

    def folded(self: PairRun, call_result: CallResult, demands: Any, **rest: Any) -> list[ClaimedRequest]:
        for demand, winner in plan.affected_demands(call_result.call, demands):
            attribution = call_result.attributions.get(winner.item.key)
            if demand.item != winner.item and attribution:
                self._requests[demand.request_id].decide(winner.item.key, attribution)
        return apply(self, call_result, demands, **rest)

    put(PairRun, "_apply", folded)


@bug(3)
def lose_the_earlier_of_two_requests_for_a_limit(put: Put) -> None:
    sweep_nothing(put)  # else the sweep would make it good
    begin, again = PairRun.__init__, redelivery.try_again

    def forgetful(self: PairRun, requests: Any, *rest: Any) -> None:
        newest = {frozenset(item.key for item in request.outcome.inputs): request for request in requests}
        begin(self, list(newest.values()), *rest)

    put(PairRun, "__init__", forgetful)

    def but_those_that_run(unfinished: Any, *rest: Any, **times: Any) -> list[str]:
        return again([each for each in unfinished if each[2].outcome.status is not Status.RUNNING], *rest, **times)

    put(consumer, "try_again", but_those_that_run)


@bug(7)
def put_one_input_too_many_into_a_chunk(put: Put) -> None:
    def chunks(demands: Any, batch_size: int) -> Iterator[plan.Call]:
        for call in whole(demands, 10_000):
            for start in range(0, len(call.winners), batch_size):
                yield replace(call, winners=call.winners[start : start + batch_size + 1])

    whole = plan.plan
    put(pair_run, "plan", chunks)


# ---------------------------------------------------------------------------------------------------------- the order
@bug(1)
def let_an_older_request_undo_a_younger_one(put: Put) -> None:
    put(pair_run, "respect", lambda requests, demands, register, now: None)


@bug(1)
def send_without_a_lease(put: Put) -> None:
    _conditions(put, "holder = :was AND #until = :ended", "attribute_exists(id)")
    taken = Leases.taken

    def anyway(self: Leases, wanted: Wanted, written: Written, *rest: Any) -> Taken:
        item = written.item or self._table.get(wanted.item_id)
        return taken(self, wanted, replace(written, item=item and {**item, "until": FREE}), *rest)

    put(Leases, "taken", anyway)


@bug(14)
def let_a_lease_end_before_its_worker_does(put: Put) -> None:
    put(handler, "LEASE_GRACE", timedelta(seconds=-55))


@bug(34, requests=100)
def forget_what_a_dead_holder_had_taken_a_pair_for(put: Put) -> None:
    lease = Leases._lease
    put(Leases, "_lease", lambda self, *rest: replace(lease(self, *rest), orphans=()))


@bug(2)
def enter_a_number_as_applied_before_it_is_answered(put: Put) -> None:
    send_once = Sender._send_once

    def early(self: Sender, call_result: CallResult) -> None:
        now = milliseconds(self.now())
        for winner in call_result.call.winners:
            number = winner.item.max_to_object_ids
            self._read_back._register.apply(winner.item.key, Applied(winner.age, winner.request_id, number, now, now))
        send_once(self, call_result)

    put(Sender, "_send_once", early)


@bug(52)
def believe_a_reading_within_the_lag(put: Put) -> None:
    put(Register, "window", property(lambda self: 2_000))


@bug(15, requests=100)
def ignore_that_a_younger_request_is_unconfirmed(put: Put) -> None:
    apply = Register.apply

    def confirmed_only(self: Register, key: Any, applied: Applied) -> None:
        if not applied.unconfirmed:
            apply(self, key, applied)

    put(Register, "apply", confirmed_only)


@bug(1)
def give_a_pair_back_before_it_is_settled(put: Put) -> None:
    run = PairRun.run

    def early(self: PairRun) -> None:
        self._deps.leases.give_back(self._lease, self._deps.clock())
        run(self)

    put(PairRun, "run", early)


@bug(43, requests=60)
def ignore_the_doubt_of_a_younger_request(put: Put) -> None:
    put(Register, "in_doubt", lambda self, key, age: None)


@bug(8)
def let_a_register_expire(put: Put) -> None:
    put(Leases, "_expiry", lambda self, now: int((now + timedelta(minutes=1)).timestamp()))


@bug(2)
def fold_by_spelling(put: Put) -> None:
    put(outcomes, "object_type_id", lambda name: name)


@bug(10)
def never_look_whether_a_late_call_has_undone_a_number(put: Put) -> None:
    put(Register, "verify_at", property(lambda self: None))
    put(Verification, "verify", lambda self, demands, own, now: None)


# ---------------------------------------------------------------------------------------------------------- the quota
@bug(7)
def let_two_workers_take_the_same_calls(put: Put) -> None:
    _conditions(put, "OR fence = :seen", "OR attribute_exists(id)")
    _conditions(put, "fence = :seen", "attribute_exists(id)")


# --------------------------------------------------------------------------------------------------------- the tokens
@bug(7)
def refresh_a_token_by_everybody_at_once(put: Put) -> None:
    put(AccessTokens, "lock", lambda self, name, holder, until: True)


@bug(38)
def lose_the_new_refresh_token(put: Put) -> None:
    put(Credentials, "renewed", lambda self, refresh_token: self)
