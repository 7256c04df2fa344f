"""Scenes that the issue of being true under failure names, each played in virtual time with the real code."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from api.response import answer
from local.hubspot.catalogue import Pair, TypeKey
from local.hubspot.faults import FaultOrder
from model.outcomes import Outcome, Result, Status
from tests.simulation.checks import check
from tests.simulation.deployment import installed
from tests.simulation.plan import HOUR, Ask, Plan, make
from tests.simulation.scenario import Scenario
from tests.simulation.world import START

PAIR = ("contacts", "companies")


def calm(asks: list[Ask], **changes: Any) -> Plan:
    """A plan in which nothing goes wrong by itself."""
    weather = {
        "switches": {},
        "faults": [],
        "zones": {},
        "heal_after": HOUR,
        "crash": 0,
        "stall": 0,
        "aws_fails": 0,
        "refused_connections": 0,
        "index_lag": 0,
        "duplicates": 0,
        "max_receives": 1000,
        "batch_size": 100,
        "token_change": None,
        "oauth": False,
        "broken_oauth": None,
        "unreadable": None,
        "retried_writes": 0,
        "skew": 0,
        "moved_letters": 0,
        "lands_late": 0,
        "flaps": 0,
        "replays": [],
    }
    return replace(make(1, 1), asks=asks, **{**weather, **changes})


def ask(*inputs: tuple[str, int, int], after: float = 0, way: str = "queue", portal: str = "default") -> Ask:
    return Ask(after, way, portal, PAIR, inputs or (("HUBSPOT_DEFINED", 279, 50),))


def played(scenario: Scenario) -> Scenario:
    with installed():
        scenario.play()
    assert check(scenario).violations == []
    return scenario


def calls(scenario: Scenario, operation: str) -> list[Any]:
    return scenario.standin.journal.entries(operation)


def answered(outcome: Outcome) -> Any:
    """The body by which a caller is answered."""
    _, body = answer(outcome)
    return json.loads(body) if isinstance(body, str) else body


@pytest.mark.parametrize("mode", ["alone", "batch"])
@pytest.mark.parametrize(
    ("now", "wanted", "most"),
    [((50, 20), (80, 60), 1), ((50, 20), (10, 5), 5), ((50, 20), (50, 50), 1), ((50, 20), (15, 15), 5)],
    ids=["raised", "lowered", "label up to the object limit", "both to one number"],
)
def test_an_object_limit_and_a_labels_below_it_are_both_set_whichever_way_they_go(
    mode: str, now: tuple[int, int], wanted: tuple[int, int], most: int
) -> None:
    before = ask(("HUBSPOT_DEFINED", 279, now[0]), ("HUBSPOT_DEFINED", 1, now[1]))
    after = ask(("HUBSPOT_DEFINED", 1, wanted[1]), ("HUBSPOT_DEFINED", 279, wanted[0]), after=100)
    scenario = Scenario(calm([before, after], switches={"badInput": mode, "labelEqualsObject": "allow"}))

    played(scenario)

    outcome = max(scenario.outcomes.values(), key=lambda outcome: outcome.requested_at)
    assert outcome.status is Status.COMPLETE
    assert "errors" not in answered(outcome)
    limits = scenario.standin.portals[1].limits(Pair("0-1", "0-2"))
    assert {key.type_id: number for key, number in limits.items()} == {279: wanted[0], 1: wanted[1]}
    assert len(calls(scenario, "create")) <= 1 + most


@pytest.mark.parametrize("mode", ["alone", "batch"])
def test_an_object_limit_that_hubspot_never_takes_is_tried_no_more_than_twice(mode: str) -> None:
    asked = ask(("HUBSPOT_DEFINED", 279, 90_000), ("HUBSPOT_DEFINED", 1, 20))
    scenario = Scenario(calm([asked], switches={"badInput": mode}))

    (outcome,) = played(scenario).outcomes.values()

    assert outcome.status is Status.PARTIAL
    assert [item.result for item in outcome.inputs] == [Result.REJECTED, Result.APPLIED]
    assert answered(outcome)["numErrors"] == 1
    sent = [json.loads(entry.body)["inputs"] for entry in calls(scenario, "create")]
    assert sum(one["typeId"] == 279 for inputs in sent if len(inputs) == 1 or mode == "alone" for one in inputs) == 2


@pytest.mark.parametrize("bad", [1, 37, 50, 51, 99, 100])
def test_one_bad_input_among_100_does_not_cost_the_other_99(bad: int) -> None:
    types = [n for n in range(1000, 1101) if n != 1000 + bad]
    inputs = [("USER_DEFINED", 1000 + n, 5) for n in range(1, 101)]
    scenario = Scenario(calm([ask(*inputs)], switches={"badInput": "batch"}))
    for type_id in types:
        scenario.standin.portals[1].add_type(Pair("0-1", "0-2"), TypeKey("USER_DEFINED", type_id), f"Label {type_id}")

    (outcome,) = played(scenario).outcomes.values()

    assert outcome.status is Status.PARTIAL
    rejected = [item for item in outcome.inputs if item.result is not Result.APPLIED]
    assert [(item.type_id, item.result) for item in rejected] == [(1000 + bad, Result.REJECTED)]
    assert f"Association type {1000 + bad} of category USER_DEFINED does not exist" in (rejected[0].message or "")
    assert len(calls(scenario, "create")) + len(calls(scenario, "read")) <= 2 * math.log2(100) + 1


def test_a_spent_daily_quota_parks_500_requests_until_the_accounts_midnight_and_none_is_in_flight_meanwhile() -> None:
    # The plan is healed far later, so that it is midnight alone which lets them go on.
    changes = {"switches": {"dailyLimit": 0, "utcOffsetMinutes": -300}, "zones": {"default": "America/New_York"}}
    asks = [ask(("HUBSPOT_DEFINED", 279, 1 + n), after=n / 100) for n in range(500)]
    scenario = Scenario(calm(asks, heal_after=40 * HOUR, **changes))
    midnight = datetime(2026, 11, 25, tzinfo=ZoneInfo("America/New_York")).astimezone(UTC)
    in_flight: list[int] = []

    def look() -> None:
        in_flight.append(len(scenario.queue.messages))
        assert {o.retry_at for o in scenario.outcomes.values()} == {midnight}
        assert {o.status for o in scenario.outcomes.values()} == {Status.DEFERRED}
        scenario.standin.settings = scenario.standin.settings.changed({"dailyLimit": 1_000_000})

    # Ten minutes on all are parked; at midnight the quota, which was spent by others, is full again.
    scenario.world.at(START + 600, look)
    scenario.world.at((midnight - timedelta(minutes=1)).timestamp(), look)
    played(scenario)

    assert in_flight == [0, 0]
    assert len(scenario.outcomes) == 500
    assert {outcome.status for outcome in scenario.outcomes.values()} == {Status.COMPLETE}
    assert scenario.dead_letters.arrived == []
    created = [entry.moment for entry in calls(scenario, "create") if entry.status == 201]
    assert midnight.timestamp() <= min(created)
    assert max(created) < midnight.timestamp() + 300  # a look at a portal every few minutes


def test_40_workers_that_meet_an_expired_token_at_once_refresh_it_once() -> None:
    expiring = {"portal": "acme", "way": "webhook"}
    scenario = Scenario(calm([ask(after=HOUR, **expiring) for _ in range(40)], oauth=True, rotates=True))

    def expire() -> None:
        name = "tokens/acme"
        stored = json.loads(scenario.secrets.versions[name][scenario.secrets.current[name]])
        stored |= {"accessToken": "long-expired", "expiresAt": "2026-11-24T09:30:00Z", "expiresIn": 1800}
        scenario.secrets.set(name, json.dumps(stored))

    scenario.world.at(START + HOUR - 1, expire)
    scenario.plan.heal_after = 3 * HOUR
    played(scenario)

    assert len(calls(scenario, "token")) == 1
    assert len(scenario.outcomes) == 40
    assert {outcome.status for outcome in scenario.outcomes.values()} == {Status.COMPLETE}


def test_a_webhook_request_that_hubspot_is_slow_with_is_pending_and_ends_complete() -> None:
    scenario = Scenario(calm([ask(way="webhook")]))
    slow = {"operation": "create", "times": 1, "effect": {"kind": "delay", "delayMs": 40_000, "late": True}}
    scenario.standin.faults.add(FaultOrder.of(slow))

    (outcome,) = played(scenario).outcomes.values()

    assert outcome.status is Status.COMPLETE
    assert outcome.trigger.value == "webhook"
    assert len(scenario.queue.arrived) == 1
    sequence = [(entry.operation, entry.status) for entry in scenario.standin.journal.entries()]
    proved = [item.message == "proved by reading back" for item in outcome.inputs]
    assert sequence[-1] == (("read", 200) if all(proved) else ("create", 201))


def test_two_deliveries_of_each_message_at_the_same_moment_make_one_outcome_each() -> None:
    scenario = Scenario(calm([ask(("HUBSPOT_DEFINED", 279, 1 + n), after=n * 3) for n in range(300)], duplicates=0.5))

    played(scenario)

    assert len(scenario.outcomes) == 300
    assert {outcome.status for outcome in scenario.outcomes.values()} == {Status.COMPLETE}
    sent = [json.loads(entry.body)["inputs"][0]["maxToObjectIds"] for entry in calls(scenario, "create")]
    assert len(sent) == len(set(sent))


def test_a_refresh_that_hubspot_refuses_defers_and_goes_on_by_itself_once_the_secret_is_mended() -> None:
    asks = [ask(after=60, portal="acme"), ask(("HUBSPOT_DEFINED", 1, 1), after=90, portal="acme")]
    scenario = Scenario(calm(asks, oauth=True, rotates=False, broken_oauth=(1.0, 2 * HOUR), heal_after=3 * HOUR))
    seen: list[Status] = []
    scenario.world.at(START + HOUR, lambda: seen.extend(outcome.status for outcome in scenario.outcomes.values()))

    played(scenario)

    assert seen == [Status.DEFERRED, Status.DEFERRED]
    assert {outcome.status for outcome in scenario.outcomes.values()} == {Status.COMPLETE}
    ended = [outcome.finished_at for outcome in scenario.outcomes.values() if outcome.finished_at]
    assert max(ended) < datetime.fromtimestamp(START + 3 * HOUR, UTC)  # before its owner installed it anew
