"""A request that had to wait does not undo what a younger one has set meanwhile."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from batch_create.superseding import IN_ONE_READ, find_superseded
from hypothesis import given
from hypothesis import strategies as st

from batch_create.plan import Demand
from ledger.history import Filter, Page
from model.contract import Category, LimitInput
from model.errors import LedgerUnavailable
from model.outcomes import InputOutcome, Outcome, Result, Status, Trigger
from model.pair import Address
from tests.support.fakes import START, FakeHistory, FakeHubSpot, Service, answer, failed, key, request

SECOND = timedelta(seconds=1)
OLDER = request("m-1", (3, 5))


def waiting(service: Service, *limits: tuple[int, int], at: datetime = START) -> Any:
    """A request that HubSpot could not take, and whose time to be tried again has come."""
    asked = request("m-1", *limits, at=at)
    service.hubspot.replies = [failed(429)]
    (outcome,) = service.run(asked)
    assert outcome.status is Status.DEFERRED
    service.clock.advance(600)
    return asked


# -------------------------------------------------------------------------------------------------------- as run has it
def test_an_older_request_that_waited_does_not_set_back_what_a_younger_one_has_set() -> None:
    service = Service()
    older = waiting(service, (3, 5), (4, 5))
    service.run(request("m-2", (3, 7), at=START + SECOND))

    (outcome,) = service.run(older)

    assert outcome.status is Status.COMPLETE
    assert [item.result for item in outcome.inputs] == [Result.SUPERSEDED, Result.APPLIED]
    assert outcome.inputs[0].superseded_by == "m-2"
    assert service.hubspot.limits == {key(3): 7, key(4): 5}
    assert service.hubspot.sent[-1] == [4]


def test_what_is_overtaken_as_a_whole_needs_no_call() -> None:
    service = Service()
    older = waiting(service, (3, 5))
    service.run(request("m-2", (3, 7), at=START + SECOND))
    calls = len(service.hubspot.calls)

    (outcome,) = service.run(older)

    assert (outcome.status, outcome.inputs[0].superseded_by) == (Status.COMPLETE, "m-2")
    assert len(service.hubspot.calls) == calls


def test_a_younger_request_that_changed_nothing_overtakes_nobody() -> None:
    service = Service()
    older = waiting(service, (3, 5))
    service.hubspot.replies = [answer([], http_status=207, errors=[{"message": "typeId 3: too high"}])]
    (refused,) = service.run(request("m-2", (3, 7), at=START + SECOND))
    assert refused.status is Status.REJECTED

    (outcome,) = service.run(older)

    assert outcome.inputs[0].result is Result.APPLIED
    assert service.hubspot.limits == {key(3): 5}


def test_a_younger_request_that_found_its_number_there_overtakes_too() -> None:
    service = Service()
    older = waiting(service, (3, 5))
    service.hubspot.limits[key(3)] = 7
    service.hubspot.replies = [failed(400, "typeId 3 already exists")]
    (unchanged,) = service.run(request("m-2", (3, 7), at=START + SECOND))
    assert unchanged.inputs[0].result is Result.UNCHANGED

    (outcome,) = service.run(older)

    assert outcome.inputs[0].superseded_by == "m-2"
    assert service.hubspot.limits == {key(3): 7}


def test_a_request_that_is_run_for_the_first_time_searches_for_nothing() -> None:
    service = Service()
    history = FakeHistory()
    service.ports = replace(service.ports, history=history)

    service.run(request("m-1", (3, 5)))

    assert history.searched == []


def test_another_pair_and_another_portal_overtake_nobody() -> None:
    service = Service()
    older = waiting(service, (3, 5))
    service.run(
        request("m-2", (3, 7), at=START + SECOND, toObjectType="companies"),
        request("m-3", (3, 7), at=START + SECOND, portal="acme"),
    )

    (outcome,) = service.run(older)

    assert outcome.inputs[0].result is Result.APPLIED


def test_an_older_request_in_doubt_is_looked_up_before_it_is_found_overtaken() -> None:
    service = Service(FakeHubSpot(replies=[failed(503)], reads=[failed(503)]))
    (doubtful,) = service.run(OLDER)
    assert doubtful.doubt is not None
    service.run(request("m-2", (3, 7), at=START + SECOND))
    service.clock.advance(600)

    (outcome,) = service.run(OLDER)

    assert (outcome.inputs[0].result, outcome.inputs[0].superseded_by) == (Result.SUPERSEDED, "m-2")
    assert service.hubspot.calls[-1] == "read"
    assert service.hubspot.limits == {key(3): 7}


def test_two_requests_that_wait_are_left_to_the_plan() -> None:
    service = Service()
    older, younger = request("m-1", (3, 5)), request("m-2", (3, 7), at=START + SECOND)
    service.hubspot.replies = [failed(429)]
    service.run(older, younger)
    service.clock.advance(600)

    outcomes = service.run(older, younger)

    assert [outcome.inputs[0].result for outcome in outcomes] == [Result.SUPERSEDED, Result.APPLIED]


def test_without_the_ledger_a_retried_request_waits_and_a_new_one_does_not() -> None:
    class Unreachable(FakeHistory):
        def page(self, wanted: Filter) -> Page:
            raise LedgerUnavailable("throttled")

    service = Service()
    older = waiting(service, (3, 5))
    service.ports = replace(service.ports, history=Unreachable())

    outcomes = service.run(older, request("m-2", (3, 7), at=service.clock()))

    assert [outcome.status for outcome in outcomes] == [Status.DEFERRED, Status.COMPLETE]
    assert outcomes[0].reason == "the ledger could not be searched for younger requests"
    assert outcomes[0].retry_at is not None
    assert outcomes[0].retry_at > service.clock()


def test_many_younger_requests_for_other_limits_hide_none() -> None:
    service = Service()
    older = waiting(service, (3, 5))
    service.run(request("m-2", (3, 7), at=START + SECOND))
    for number in range(IN_ONE_READ):
        service.run(request(f"n-{number}", (100 + number, 1), at=START + SECOND * (2 + number)))

    service.run(older)

    assert service.hubspot.limits[key(3)] == 7


# ------------------------------------------------------------------------------------------------------------ as a rule
PAIR = Address("2026-03", "deals", "contacts")


def demand(own_id: str, second: int, type_id: int = 3, number: int = 5) -> Demand:
    item = LimitInput(category=Category.HUBSPOT_DEFINED, type_id=type_id, max_to_object_ids=number)
    return Demand(own_id, START + SECOND * second, "default", PAIR, item)


def outcome(own_id: str, second: int, *results: tuple[int, Result]) -> Outcome:
    return Outcome(
        id=own_id,
        portal="default",
        from_object_type="deals",
        to_object_type="contacts",
        status=Status.PARTIAL,
        trigger=Trigger.QUEUE,
        requested_at=START + SECOND * second,
        inputs=tuple(
            InputOutcome(category=Category.HUBSPOT_DEFINED, type_id=t, max_to_object_ids=9, result=result)
            for t, result in results
        ),
    )


ages = st.tuples(st.integers(0, 3), st.sampled_from(["a", "b", "c", "d"]))


@given(
    ages,
    st.dictionaries(ages, st.tuples(st.integers(3, 4), st.sampled_from(Result)), max_size=12),
)
def test_a_demand_is_overtaken_exactly_by_the_youngest_that_set_its_limit(
    age: tuple[int, str], others: dict[tuple[int, str], tuple[int, Result]]
) -> None:
    newest_first = sorted(others.items(), reverse=True)
    history = FakeHistory([outcome(own_id, second, result) for (second, own_id), result in newest_first])
    asked = demand(age[1], age[0])

    found = find_superseded([asked], history)

    younger = [
        other
        for other, (type_id, result) in newest_first
        if type_id == 3 and result in (Result.APPLIED, Result.UNCHANGED) and other > age
    ]
    assert found == ([(asked, younger[0][1])] if younger else [])


def test_of_two_of_the_same_age_the_greater_id_is_the_younger_as_in_the_plan() -> None:
    applied = FakeHistory([outcome("b", 0, (3, Result.APPLIED))])

    assert [by for _, by in find_superseded([demand("a", 0)], applied)] == ["b"]
    assert find_superseded([demand("b", 0)], applied) == []
    assert find_superseded([demand("c", 0)], applied) == []


def test_a_pair_is_searched_once_from_its_oldest_demand_on() -> None:
    history = FakeHistory()

    find_superseded([demand("a", 5), demand("b", 3), demand("b", 3, type_id=4)], history)

    assert [(wanted.portal, wanted.pair, wanted.since) for wanted in history.searched] == [
        ("default", ("deals", "contacts"), "2026-11-23T09:00:03.000Z")
    ]


def test_nothing_that_waits_is_nothing_to_search_for() -> None:
    history = FakeHistory()

    assert find_superseded([], history) == []
    assert history.searched == []
