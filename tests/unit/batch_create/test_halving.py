"""A batch that HubSpot refuses as a whole: the bad inputs are found in few calls, and cost the good ones nothing."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import timedelta
from math import ceil, log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_create.attribution import Attribution
from batch_create.authorised_call import AuthorisedCalls
from batch_create.plan import Demand, plan
from batch_create.sending import Sender
from hubspot_api.client import Answer
from ledger.ledger import Ledger
from ledger.register import Register
from model.contract import LimitInput, LimitKey
from model.outcomes import Result, Status
from model.pair import Address
from model.records import milliseconds
from tests.support.fakes import (
    PAIR,
    START,
    Clock,
    FakeHubSpot,
    PickyHubSpot,
    Service,
    failed,
    in_memory,
    key,
    ports,
    request,
)

MINUTE = timedelta(minutes=1)


def fates_of_one_call(number: int, hubspot: FakeHubSpot) -> dict[LimitKey, Attribution]:
    """What becomes of the types 1 to `number`, sent as one call."""
    clock = Clock()
    work = ports(Ledger(in_memory(clock), MINUTE), hubspot, clock)
    items = request("m-1", *((n, n) for n in range(1, number + 1))).envelope.inputs
    age, address = (milliseconds(START), "m-1"), Address("2026-03", "deals", "contacts")
    (call,) = plan([Demand("m-1", age, "default", PAIR, address, item) for item in items], number)
    found: dict[LimitKey, Attribution] = {}
    sender = Sender(work, START + MINUTE, AuthorisedCalls(work, START + MINUTE), Register(MINUTE))
    for call_result in sender.send(call):
        assert call_result.deferral is None
        assert all(
            found.get(k, attribution).result is attribution.result
            for k, attribution in call_result.attributions.items()
        )
        found |= call_result.attributions
    return found


def check(number: int, bad: Collection[int]) -> None:
    """Every input has its own attribution, within 2·k·log2(n)+1 calls and reads for k bad ones of n."""
    hubspot = PickyHubSpot(bad=bad)

    attributions = fates_of_one_call(number, hubspot)

    assert {k: (attribution.result, attribution.message) for k, attribution in attributions.items()} == {
        key(n): (Result.REJECTED, f"typeId {n} is bad") if n in bad else (Result.APPLIED, None)
        for n in range(1, number + 1)
    }
    assert hubspot.limits == {key(n): n for n in range(1, number + 1) if n not in bad}
    assert len(hubspot.calls) <= 2 * len(bad) * log2(number) + 1


@st.composite
def batches(draw: st.DrawFn) -> tuple[int, set[int]]:
    number = draw(st.integers(1, 200))
    return number, draw(st.sets(st.integers(1, number), max_size=draw(st.sampled_from([3, number]))))


@given(batches())
def test_every_good_input_is_applied_and_every_bad_one_rejected_in_its_own_words(batch: tuple[int, set[int]]) -> None:
    check(*batch)


@pytest.mark.parametrize("bad", range(1, 101))
def test_one_bad_input_of_a_hundred_is_found_wherever_it_is(bad: int) -> None:
    check(100, {bad})


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 100, 200])
def test_a_batch_of_bad_inputs_alone_is_told_apart_all_the_same(number: int) -> None:
    check(number, range(1, number + 1))


@given(st.integers(1, 200))
def test_a_good_batch_is_one_call(number: int) -> None:
    hubspot = PickyHubSpot()

    fates_of_one_call(number, hubspot)

    assert hubspot.calls == ["create"]


class Nowhere(FakeHubSpot):
    """Does not know the object types, and says so to whatever comes by that path."""

    def batch_create(self, token: str, pair: Address, inputs: Sequence[LimitInput], seconds: float) -> Answer:
        self.replies = [failed(400, "Unable to infer object type from: dealz")]
        return super().batch_create(token, pair, inputs, seconds)

    def read_pair(self, token: str, pair: Address, seconds: float) -> dict[LimitKey, int | None]:
        self.reads = [failed(400, "Unable to infer object type from: dealz")]
        return super().read_pair(token, pair, seconds)


@given(st.integers(1, 200))
def test_a_pair_that_hubspot_does_not_know_costs_few_calls(number: int) -> None:
    hubspot = Nowhere()

    attributions = fates_of_one_call(number, hubspot)

    assert {attribution.result for attribution in attributions.values()} == {Result.REJECTED}
    assert {attribution.message for attribution in attributions.values()} == {"Unable to infer object type from: dealz"}
    assert len(attributions) == number
    assert len(hubspot.calls) <= 5


def test_a_pair_is_asked_for_once_and_only_believed_when_it_says_the_same() -> None:
    class Hidden(PickyHubSpot):
        def read_pair(self, token: str, pair: Address, seconds: float) -> dict[LimitKey, int | None]:
            self.reads = [failed(400, "reading is not for you")]
            return super().read_pair(token, pair, seconds)

    hubspot = Hidden(bad=range(1, 9))

    attributions = fates_of_one_call(16, hubspot)

    assert [attributions[key(n)].result for n in range(1, 17)] == [Result.REJECTED] * 8 + [Result.APPLIED] * 8
    assert hubspot.calls.count("read") <= 1


@pytest.mark.parametrize("status", [503, 403])
def test_a_pair_that_cannot_be_asked_for_now_is_halved_all_the_same(status: int) -> None:
    hubspot = PickyHubSpot(bad={1, 16}, reads=[failed(status)])

    attributions = fates_of_one_call(16, hubspot)

    assert [n for n in range(1, 17) if attributions[key(n)].result is Result.REJECTED] == [1, 16]
    assert hubspot.calls.count("read") == 1


def test_what_is_not_refused_as_a_batch_is_not_halved() -> None:
    hubspot = FakeHubSpot(replies=[failed(404, "no such pair")])

    attributions = fates_of_one_call(100, hubspot)

    assert [attribution.message for attribution in attributions.values()] == ["no such pair"] * 100
    assert hubspot.calls == ["create"]


def test_a_quota_that_ends_while_a_batch_is_halved_leaves_the_rest_for_later() -> None:
    class Rationed(PickyHubSpot):
        def batch_create(self, token: str, pair: Address, inputs: Sequence[LimitInput], seconds: float) -> Answer:
            if len(self.created) == 4:
                self.created.append((pair, tuple(inputs)))
                raise failed(429)
            return super().batch_create(token, pair, inputs, seconds)

    service = Service(Rationed(bad={30}))
    asked = request("m-1", *((n, n) for n in range(21, 37)))

    (deferred,) = service.run(asked)

    assert deferred.status is Status.DEFERRED
    assert service.hubspot.sent == [[*range(21, 37)], [*range(21, 29)], [*range(29, 33)], [*range(33, 37)], [29, 30]]
    assert [item.type_id for item in deferred.inputs if item.result is Result.PENDING] == [*range(29, 33)]

    outcome = service.run_until_final(asked)

    assert outcome.status is Status.PARTIAL
    assert [item.type_id for item in outcome.inputs if item.result is Result.REJECTED] == [30]
    assert all(29 <= n <= 32 for sent in service.hubspot.sent[5:] for n in sent)  # what is done is not sent again


def test_the_answer_of_a_halved_request_is_one_answer_with_an_error_for_each_bad_input() -> None:
    service = Service(PickyHubSpot(bad={7}))

    (outcome,) = service.run(request("m-1", *((n, n) for n in range(1, 11))))

    assert outcome.status is Status.PARTIAL
    assert [item.message for item in outcome.inputs if item.result is Result.REJECTED] == ["typeId 7 is bad"]
    assert outcome.hubspot is not None
    body = json.loads(outcome.hubspot.body or "")
    assert (outcome.hubspot.http_status, len(body["results"]), body["numErrors"]) == (207, 9, 1)


def test_requests_that_share_a_refused_batch_do_not_pay_for_each_other() -> None:
    service = Service(PickyHubSpot(bad={2}))
    good, bad = request("m-1", (1, 5), (3, 5)), request("m-2", (2, 5))

    outcomes = service.run(good, bad)

    assert [outcome.status for outcome in outcomes] == [Status.COMPLETE, Status.REJECTED]
    assert len(service.hubspot.created) <= 1 + 2 * ceil(log2(3))
