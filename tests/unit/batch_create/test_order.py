"""The youngest request wins: whenever, however spelt, and by whichever worker an older one is run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws.dynamodb import Table
from batch_create.claimed_request import ClaimedRequest
from batch_create.handler import run
from batch_create.order import respect
from hubspot_api.client import Answer
from ledger.claim import Claim, ClaimStatus
from ledger.leases import Lease, Wanted
from ledger.ledger import Ledger
from ledger.register import Applied, Register
from ledger.replay import replay
from model.contract import LimitInput
from model.errors import QuotaExhausted
from model.outcomes import Outcome, Request, Result, Status, new_outcome
from model.pair import Address
from model.records import milliseconds
from tests.simulation.dynamo import Dynamo
from tests.support.fakes import (
    PAIR,
    START,
    FakeHubSpot,
    FakeQuota,
    Limits,
    Service,
    answer,
    echo,
    failed,
    key,
    ports,
    request,
)

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
OLDER = request("m-1", (3, 5))


def younger(number: int = 7, **rest: Any) -> Request:
    return request("m-2", (3, number), at=START + SECOND, **rest)


def waiting(service: Service, *limits: tuple[int, int], status: int = 429, **rest: Any) -> Request:
    """A request that HubSpot could not take, and whose time to be tried again has come."""
    asked = request("m-1", *limits, **rest)
    service.hubspot.replies = [failed(status) for _ in range(3)]
    (outcome,) = service.run(asked)
    assert outcome.status is Status.DEFERRED
    service.hubspot.replies = []
    service.clock.advance(600)
    return asked


def only(outcome: Outcome) -> tuple[Result, str | None]:
    """What became of an outcome's one input, and by whom it was superseded."""
    (item,) = outcome.inputs
    return item.result, item.superseded_by


# ---------------------------------------------------------------- an older one that waits
def test_an_older_request_that_waited_does_not_set_back_what_a_younger_one_has_set() -> None:
    service = Service()
    older = waiting(service, (3, 5), (4, 5))
    service.run(younger())

    (outcome,) = service.run(older)

    assert outcome.status is Status.COMPLETE
    assert [item.result for item in outcome.inputs] == [Result.SUPERSEDED, Result.APPLIED]
    assert outcome.inputs[0].superseded_by == "m-2"
    assert service.hubspot.limits == {key(3): 7, key(4): 5}
    assert service.hubspot.sent[-1] == [4]


def test_what_is_overtaken_as_a_whole_needs_no_call() -> None:
    service = Service()
    older = waiting(service, (3, 5))
    service.run(younger())
    calls = len(service.hubspot.calls)

    (outcome,) = service.run(older)

    assert (outcome.status, only(outcome)) == (Status.COMPLETE, (Result.SUPERSEDED, "m-2"))
    assert len(service.hubspot.calls) == calls


def test_a_younger_request_that_changed_nothing_overtakes_nobody() -> None:
    service = Service()
    older = waiting(service, (3, 5))
    service.hubspot.replies = [answer([], http_status=207, errors=[{"message": "typeId 3: too high"}])]
    (refused,) = service.run(younger())
    assert refused.status is Status.REJECTED

    (outcome,) = service.run(older)

    assert only(outcome)[0] is Result.APPLIED
    assert service.hubspot.limits == {key(3): 5}


def test_a_younger_request_that_found_its_number_there_overtakes_too() -> None:
    service = Service()
    older = waiting(service, (3, 5))
    service.hubspot.limits[key(3)] = 7
    service.hubspot.replies = [failed(400, "typeId 3 already exists")]
    (unchanged,) = service.run(younger())
    assert only(unchanged)[0] is Result.UNCHANGED

    (outcome,) = service.run(older)

    assert only(outcome) == (Result.SUPERSEDED, "m-2")
    assert service.hubspot.limits == {key(3): 7}


def test_a_younger_request_that_cannot_be_confirmed_is_left_alone_and_named() -> None:
    service = Service()
    older = waiting(service, (3, 5))
    service.hubspot.replies, service.hubspot.reads = [failed(503)], [failed(404)]
    (unconfirmed,) = service.run(younger())
    assert only(unconfirmed)[0] is Result.UNCONFIRMED

    (outcome,) = service.run(older)

    assert only(outcome)[0] is Result.UNCONFIRMED
    assert "outcome m-2" in (outcome.inputs[0].message or "")
    assert service.hubspot.calls[-1] == "read"  # and nothing was sent after it


def test_another_pair_and_another_portal_overtake_nobody() -> None:
    service = Service()
    older = waiting(service, (3, 5))
    service.run(
        request("m-2", (3, 7), at=START + SECOND, toObjectType="companies"),
        request("m-3", (3, 7), at=START + SECOND, portal="acme"),
    )

    (outcome,) = service.run(older)

    assert only(outcome)[0] is Result.APPLIED


def test_an_older_request_in_doubt_is_looked_up_before_it_is_found_overtaken() -> None:
    service = Service(FakeHubSpot(replies=[failed(503)], reads=[failed(503)]))
    (doubtful,) = service.run(OLDER)
    assert doubtful.doubt is not None
    service.run(younger())
    service.clock.advance(600)

    (outcome,) = service.run(OLDER)

    assert only(outcome) == (Result.SUPERSEDED, "m-2")
    assert service.hubspot.calls[-1] == "read"  # what it had sent could have landed since
    assert service.hubspot.limits == {key(3): 7}


def test_two_requests_that_wait_are_left_to_the_plan() -> None:
    service = Service()
    service.hubspot.replies = [failed(429)]
    service.run(OLDER, younger())
    service.clock.advance(600)

    outcomes = service.run(OLDER, younger())

    assert [only(outcome)[0] for outcome in outcomes] == [Result.SUPERSEDED, Result.APPLIED]


@pytest.mark.parametrize("number", [1, 3])
def test_without_its_register_nothing_of_a_pair_is_sent(number: int) -> None:
    down: list[str] = ["query"]  # by which the register is built at first
    service = Service()
    dynamo: Any = Dynamo(
        lambda operation: "throttled" if operation in down else "", lambda: service.clock().timestamp(), 0
    )
    work = ports(Ledger(Table(dynamo, "outcomes"), DAY), service.hubspot, service.clock)
    asked = [request(f"m-{n}", (3, n + 1)) for n in range(number)]

    run(asked, 30, work)
    assert service.hubspot.calls == []

    down.clear()
    service.clock.advance(60)
    answers = run(asked, 30, work)
    assert {claim.outcome.status for claim in answers} == {Status.COMPLETE}
    assert service.hubspot.limits == {key(3): number}


def test_many_younger_requests_for_other_limits_hide_none() -> None:
    service = Service()
    older = waiting(service, (3, 5))
    service.run(younger())
    for batch in range(4):
        at = START + SECOND * (2 + batch)
        service.run(*(request(f"n-{batch}-{n}", (100 + 40 * batch + n, 1), at=at) for n in range(40)))

    (outcome,) = service.run(older)

    assert only(outcome) == (Result.SUPERSEDED, "m-2")
    assert service.hubspot.limits[key(3)] == 7


# ---------------------------------------------------------------- however it is spelt
def test_a_younger_request_that_spells_the_types_differently_overtakes_too() -> None:
    service = Service()
    older = waiting(service, (3, 5), status=423)
    (applied,) = service.run(younger(10, fromObjectType="0-3", toObjectType="0-1"))
    assert only(applied)[0] is Result.APPLIED

    (outcome,) = service.run(older)

    assert only(outcome) == (Result.SUPERSEDED, "m-2")
    assert service.hubspot.limits == {key(3): 10}


def test_spellings_and_api_versions_of_one_pair_make_one_call_with_one_number() -> None:
    service = Service()
    spellings = [("deals", "contacts"), ("0-3", "0-1"), ("Deal", "CONTACTS"), ("DEALS", "contact")]
    asked = [
        replace(
            request(f"m-{n}", (3, n + 1), at=START + SECOND * n, fromObjectType=one, toObjectType=other),
            api_version=("2026-03", "2026-09")[n % 2],
        )
        for n, (one, other) in enumerate(spellings)
    ]
    service.clock.advance(10)

    outcomes = service.run(*asked)

    assert [only(outcome)[0] for outcome in outcomes] == [*[Result.SUPERSEDED] * 3, Result.APPLIED]
    ((address, inputs),) = service.hubspot.created
    assert (address.api_version, [item.max_to_object_ids for item in inputs]) == ("2026-09", [4])
    assert service.hubspot.state == {PAIR: {key(3): 4}}


def test_an_idempotency_key_with_ids_in_place_of_names_is_of_the_same_request() -> None:
    service = Service()
    named = request("m-1", (3, 5), idempotencyKey="k")
    by_id = request("m-2", (3, 5), idempotencyKey="k", fromObjectType="0-3", toObjectType="0-1")
    service.run(named)

    (claim,) = run([by_id], 30, service.ports)

    assert claim.claim_status is ClaimStatus.FINAL
    assert len(service.hubspot.created) == 1


# ---------------------------------------------------------------- while the other waits
class InTurn(FakeQuota):
    """Has no room for the first call, and lets something else happen meanwhile."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        super().__init__()
        self._meanwhile: Callable[[], object] | None = meanwhile

    def reserve(self, portal: str, *, ahead: int, urgent: bool, until: datetime) -> None:
        if self._meanwhile:
            meanwhile, self._meanwhile = self._meanwhile, None
            meanwhile()
            raise QuotaExhausted("no room", retry_after=10)


def test_a_younger_request_that_comes_while_the_older_waits_for_a_slot_has_the_last_word() -> None:
    service = Service()
    work = service.ports
    service.ports = replace(work, quota=InTurn(lambda: run([younger()], 30, work)))

    service.run(OLDER)
    service.clock.advance(600)
    service.run_until_final(younger())
    outcome = service.run_until_final(OLDER)

    assert service.hubspot.limits == {key(3): 7}
    assert only(outcome) == (Result.SUPERSEDED, "m-2")


def test_a_younger_request_that_is_settled_while_the_older_waits_for_the_pair_has_the_last_word() -> None:
    service = Service()
    service.run(request("m-0", (4, 1)))
    (lease,) = service.leases.take_many([Wanted("default", PAIR)], "another", START, START + timedelta(minutes=1))
    assert isinstance(lease, Lease)
    work, ran = service.ports, list[Outcome]()

    def sleep(seconds: float) -> None:
        service.clock.advance(seconds)
        if not ran:
            assert service.leases.give_back(lease, service.clock())
            ran.extend(claim.outcome for claim in run([younger()], 30, work))

    service.ports = replace(work, sleep=sleep)
    (outcome,) = service.run(OLDER)

    assert [only(each)[0] for each in ran] == [Result.APPLIED]
    assert only(outcome) == (Result.SUPERSEDED, "m-2")
    assert service.hubspot.limits == {key(3): 7, key(4): 1}


# ---------------------------------------------------------------- replays
@pytest.mark.parametrize("everything", [False, True])
def test_a_replay_is_as_old_as_what_it_replays_unless_it_is_for_everything(everything: bool) -> None:
    service = Service()
    service.ledger.fail(OLDER, "it was received too often", "{}", START)
    service.clock.advance(2 * DAY.total_seconds())
    service.run(request("m-2", (3, 7), at=service.clock()))
    service.clock.advance(2 * DAY.total_seconds())

    replayed = replay(service.outcome(OLDER), "crm", service.clock(), everything=everything)
    (outcome,) = service.run(replayed)

    assert only(outcome) == ((Result.APPLIED, None) if everything else (Result.SUPERSEDED, "m-2"))
    assert service.hubspot.limits == {key(3): 5 if everything else 7}


# ---------------------------------------------------------------- doubts
@dataclass
class LaggingHubSpot(FakeHubSpot):
    """Shows in reads what it held some time ago, refuses what is set already, and cuts off the first answer."""

    service: Service | None = None
    lag: timedelta = timedelta(seconds=70)
    kept: list[tuple[datetime, Limits]] = field(default_factory=list)

    def batch_create(self, token: str, pair: Address, inputs: Sequence[LimitInput], seconds: float) -> Answer:
        assert self.service is not None
        self.calls.append("create")
        self.created.append((pair, tuple(inputs)))
        first, exists = not self.kept, [item for item in inputs if self.limits.get(item.key) is not None]
        if exists:
            raise failed(400, f"a limit for typeId {exists[0].type_id} already exists")
        self.limits.update({item.key: item.max_to_object_ids for item in inputs})
        self.kept.append((self.service.clock(), dict(self.limits)))
        if first:
            raise failed(504)
        return answer([echo(item) for item in inputs])

    def read_pair(self, token: str, pair: Address, seconds: float) -> Limits:
        assert self.service is not None
        self.calls.append("read")
        shown: Limits = {}
        for at, limits in self.kept:
            if at + self.lag <= self.service.clock():
                shown = limits
        return dict(shown)


def test_what_was_applied_and_is_refused_as_existing_while_reads_lag_is_never_rejected_and_frees_no_older_one() -> None:
    hubspot = LaggingHubSpot()
    hubspot.service = service = Service(hubspot)
    seen = []
    asked = request("m-2", (3, 7), at=START)
    older = request("m-1", (3, 5), at=START - SECOND)
    (outcome,) = service.run(asked)
    for _ in range(100):
        seen.append(only(outcome)[0])
        if outcome.status.final:
            break
        sent = len(hubspot.created)
        (waits,) = service.run(older)
        assert only(waits)[0] in (Result.PENDING, Result.SUPERSEDED)
        assert len(hubspot.created) == sent
        service.clock.time = outcome.retry_at or START
        (outcome,) = service.run(asked)

    assert set(seen) <= {Result.PENDING, Result.APPLIED, Result.UNCHANGED}
    assert outcome.status is Status.COMPLETE
    assert only(service.run_until_final(older)) == (Result.SUPERSEDED, "m-2")
    assert hubspot.limits == {key(3): 7}


def test_while_a_younger_request_is_in_doubt_an_older_one_is_neither_sent_nor_settled() -> None:
    service = Service(FakeHubSpot(replies=[failed(503)], reads=[failed(503)]))
    service.run(younger())

    (outcome,) = service.run(OLDER)

    assert outcome.status is Status.DEFERRED
    assert "younger request m-2 was sent without a clear answer" in (outcome.reason or "")
    assert service.hubspot.calls == ["create", "read"]


def test_an_older_request_waits_for_a_younger_ones_answer_and_not_for_the_window_of_a_reading() -> None:
    service = Service(FakeHubSpot(replies=[failed(503)], reads=[failed(503)]))
    service.run(younger())
    (waits,) = service.run(OLDER)
    assert waits.retry_at == START + timedelta(seconds=30)
    service.clock.advance(3)
    assert only(service.run_until_final(younger()))[0] is Result.APPLIED
    service.clock.time = waits.retry_at or START

    (outcome,) = service.run(OLDER)

    assert only(outcome) == (Result.SUPERSEDED, "m-2")


# ---------------------------------------------------------------- answers that are lost
@pytest.mark.parametrize("operation", ["batch_execute_statement", "update_item"])
@pytest.mark.parametrize("queued", [False, True])
@pytest.mark.parametrize("number", [1, 2])
def test_a_write_whose_answer_is_lost_is_made_again_by_the_client_and_stops_nobody(
    operation: str, queued: bool, number: int
) -> None:
    service = Service()
    seen: list[str] = []

    def step(reached: str) -> str:
        seen.append(reached)
        return "retried" if seen.count(f"{operation} answered") == 1 and reached == f"{operation} answered" else ""

    dynamo: Any = Dynamo(step, lambda: service.clock().timestamp(), 0)
    ledger = Ledger(Table(dynamo, "outcomes"), DAY)
    work = ports(ledger, service.hubspot, service.clock)
    run([request("m-first", (4, 5))], 30, work)
    asked = [request(f"m-{n}", (3, n + 1)) for n in range(number)]
    if queued:
        asked = [replace(each, outcome_id=each.id) for each in asked]
        for each in asked:
            ledger.accept(each, START)
    seen.clear()

    claims = run(asked, 30, work)

    assert {(claim.claim_status, claim.outcome.status) for claim in claims} == {(ClaimStatus.CLAIMED, Status.COMPLETE)}
    assert service.hubspot.limits == {key(3): number, key(4): 5}


# ---------------------------------------------------------------- clocks that differ
def test_two_requests_of_a_clock_that_is_ahead_keep_their_order() -> None:
    service = Service()
    first, second = request("z", (3, 5), at=START + SECOND), request("a", (3, 7), at=START + 2 * SECOND)

    service.run(first, second)

    assert service.hubspot.limits == {key(3): 7}


# ---------------------------------------------------------------- as a rule
ages = st.tuples(st.integers(0, 3), st.sampled_from(["a", "b", "c", "d"]))
NOW = milliseconds(START)


def claimed(own_id: str, at: int) -> ClaimedRequest:
    asked = request(own_id, (3, 5), at=START + timedelta(milliseconds=at))
    claim = Claim(ClaimStatus.CLAIMED, new_outcome(asked, Status.RUNNING), 1)
    return ClaimedRequest(claim, PAIR, START, "2026-03", interactive=False)


@given(ages, st.dictionaries(ages, st.sampled_from([3, 4]), max_size=12))
def test_a_demand_is_overtaken_exactly_by_the_youngest_that_set_its_limit(
    age: tuple[int, str], others: dict[tuple[int, str], int]
) -> None:
    register = Register(timedelta(minutes=5))
    for (at, own_id), type_id in others.items():
        if (at, own_id) != age:
            name = f"{own_id}-{at}"  # the same letters can be of several ages
            register.apply(key(type_id), Applied((NOW + at, own_id), name, 9, NOW, NOW))
    asked = claimed(age[1], age[0])

    respect({asked.outcome.id: asked}, list(asked.demands()), register, NOW)

    overtaking = [other for other, type_id in others.items() if type_id == 3 and other > age]
    outcome = asked.conclude(START, UTC, 0, timedelta(days=10))
    expected = f"{max(overtaking)[1]}-{max(overtaking)[0]}" if overtaking else None
    assert outcome.inputs[0].superseded_by == expected
