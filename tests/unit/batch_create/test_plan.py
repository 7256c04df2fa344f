"""Many demands, few calls: properties of the plan."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from math import ceil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_create.plan import Call, Demand, affected_demands, by_limit, latest, plan
from model.contract import Category, LimitInput
from model.outcomes import Doubt
from model.pair import Address, Pair
from model.records import milliseconds
from tests.support.fakes import PAIR, START

demands = st.lists(
    st.builds(
        lambda number, second, portal, to, version, type_id, limit: Demand(
            request_id=f"r-{number}",
            age=(milliseconds(START) + second, f"r-{number}"),
            portal=portal,
            pair=Pair("0-3", to),
            address=Address(version, "deals", to),
            item=LimitInput(category=Category.HUBSPOT_DEFINED, type_id=type_id, max_to_object_ids=limit),
        ),
        st.integers(0, 50),
        st.integers(0, 5),
        st.sampled_from(["default", "acme"]),
        st.sampled_from(["0-1", "0-2"]),
        st.sampled_from(["2026-03", "2026-09"]),
        st.integers(1, 12),
        st.integers(1, 3),
    ),
    max_size=60,
    unique_by=lambda demand: (demand.request_id, demand.portal, demand.pair, demand.item.key),
)


@given(demands, st.integers(1, 7))
def test_calls_are_as_few_as_the_batch_size_allows(asked: list[Demand], size: int) -> None:
    latest_of = {
        (demand.portal, demand.pair, demand.item.key): demand for demand in sorted(asked, key=lambda demand: demand.age)
    }
    of_one = Counter((each.portal, each.pair, each.address.api_version) for each in latest_of.values())

    calls = list(plan(asked, size))

    assert len(calls) == sum(ceil(limits / size) for limits in of_one.values())
    assert all(1 <= len(call.inputs) <= size for call in calls)


@given(demands, st.integers(1, 7))
def test_every_demand_is_decided_by_exactly_one_call(asked: list[Demand], size: int) -> None:
    decided = [demand for call in plan(asked, size) for demand, _ in affected_demands(call, by_limit(asked))]

    assert sorted(decided, key=repr) == sorted(asked, key=repr)


@given(demands, st.integers(1, 7))
def test_the_end_is_as_if_each_demand_had_been_sent_in_turn(asked: list[Demand], size: int) -> None:
    in_turn = {}
    for demand in sorted(asked, key=lambda demand: demand.age):
        in_turn[demand.portal, demand.pair, demand.item.key] = demand.item.max_to_object_ids

    folded = {
        (call.portal, call.pair, item.key): item.max_to_object_ids for call in plan(asked, size) for item in call.inputs
    }

    assert folded == in_turn


@given(demands.filter(lambda asked: len(asked) > 1))
def test_halves_share_out_a_call_and_the_first_is_never_the_larger(asked: list[Demand]) -> None:
    whole = Call("default", PAIR, tuple(asked))

    first, second = whole.halves()

    assert first.winners + second.winners == whole.winners
    assert 0 <= len(second.winners) - len(first.winners) <= 1


@given(demands, st.integers(1, 7), st.data())
def test_what_is_decided_is_not_in_the_next_call(asked: list[Demand], size: int, data: Any) -> None:
    for call in plan(asked, size):
        decided = data.draw(st.sets(st.sampled_from([item.key for item in call.inputs])))

        rest = call.without(decided)

        assert [item.key for item in rest.inputs] == [item.key for item in call.inputs if item.key not in decided]
        assert (rest.portal, rest.pair) == (call.portal, call.pair)


@given(demands, st.integers(1, 7))
def test_a_call_goes_by_the_version_of_those_that_it_sends(asked: list[Demand], size: int) -> None:
    for call in plan(asked, size):
        assert {winner.address.api_version for winner in call.winners} == {call.address.api_version}


def spelt(request_id: str, type_id: int, names: tuple[str, str]) -> Demand:
    item = LimitInput(category=Category.HUBSPOT_DEFINED, type_id=type_id, max_to_object_ids=5)
    age = (milliseconds(START), request_id)
    return Demand(request_id, age, "default", PAIR, Address("2026-03", *names), item)


def test_a_call_goes_by_the_callers_spelling_and_by_ids_where_callers_differ() -> None:
    same = [spelt("r-1", 3, ("deals", "contact")), spelt("r-2", 4, ("deals", "contact"))]
    (alike,), (different,) = plan(same, 9), plan([*same, spelt("r-3", 5, ("Deals", "contacts"))], 9)

    assert alike.address == Address("2026-03", "deals", "contact")
    assert different.address == Address("2026-03", "0-3", "0-1")


def doubted(request_id: str, number: int, second: int, doubt: Doubt | None) -> Demand:
    item = LimitInput(category=Category.HUBSPOT_DEFINED, type_id=3, max_to_object_ids=number)
    age = (milliseconds(START) + second, request_id)
    return Demand(request_id, age, "default", PAIR, Address("2026-03", "deals", "contacts"), item, doubt)


EARLIER, LATER = Doubt(since=START), Doubt(since=START + timedelta(seconds=5), in_vain=2)


@pytest.mark.parametrize(
    ("older", "younger", "expected"),
    [
        (None, None, None),
        (EARLIER, None, EARLIER),
        (None, LATER, LATER),
        (EARLIER, LATER, LATER),
        (LATER, EARLIER, LATER),
    ],
)
def test_who_sends_a_number_anew_knows_of_the_latest_doubt_about_the_same_number(
    older: Doubt | None, younger: Doubt | None, expected: Doubt | None
) -> None:
    (call,) = plan([doubted("r-1", 5, 0, older), doubted("r-2", 5, 1, younger)], 9)

    assert call.winners[0].request_id == "r-2"
    assert call.winners[0].doubt == call.doubt == expected


def test_a_doubt_about_another_number_is_not_about_this_one() -> None:
    (call,) = plan([doubted("r-1", 5, 0, LATER), doubted("r-2", 7, 1, None)], 9)

    assert call.doubt is None


def test_a_send_that_left_a_doubt_leaves_it_with_every_input() -> None:
    (call,) = plan([doubted("r-1", 5, 0, EARLIER)], 9)

    assert call.doubted(LATER).doubt == LATER
    assert call.doubted(None) is call
    assert latest([None, EARLIER, LATER, None]) == LATER
    assert latest([]) is latest([None]) is None
