"""The simulation's own parts: what its world does that a service must bear, and what its checks find."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from aws.dynamodb import ConditionFailed, Table
from local.hubspot.catalogue import Pair, TypeKey
from tests.simulation.checks import check
from tests.simulation.deployment import installed
from tests.simulation.dynamo import Dynamo
from tests.simulation.plan import Ask
from tests.simulation.scenario import Scenario
from tests.simulation.test_scenes import calm
from tests.simulation.transport import Set
from tests.simulation.world import START

LIMIT = (1, "0-1", "0-2", "HUBSPOT_DEFINED", 279)


def ask(number: int, after: float, pair: tuple[str, str] = ("contacts", "companies"), **more: Any) -> Ask:
    return Ask(after, "queue", "default", pair, (("HUBSPOT_DEFINED", 279, number),), **more)


def played(*asks: Ask, **weather: Any) -> Scenario:
    scenario = Scenario(replace(calm(list(asks)), **weather))
    with installed():
        return scenario.play()


def kinds(scenario: Scenario) -> list[str]:
    return [violation.kind for _, violation in check(scenario).violations]


def test_a_write_that_is_made_twice_meets_its_own_item() -> None:
    dynamo: Any = Dynamo(lambda operation: "retried" if "answered" in operation else "", lambda: 0, 0)

    with pytest.raises(ConditionFailed) as failed:
        Table(dynamo, "outcomes").put_new({"id": "one", "holder": "me"})

    assert failed.value.item == {"id": "one", "holder": "me"}


def test_an_index_shows_what_was_true_before_its_lag() -> None:
    now = 0.0
    dynamo: Any = Dynamo(lambda operation: "", lambda: now, 60)
    table = Table(dynamo, "outcomes")

    def found(status: str) -> list[str]:
        return [row["id"] for row in table.query("by-status", ("statusKey", status), ("0", "~"), 10)]

    table.put_new({"id": "one", "sortKey": "2026#one", "statusKey": "QUEUED"})
    now = 100
    table.update("one", {"statusKey": "RUNNING"}, condition="attribute_exists(id)", condition_values={})

    assert (found("QUEUED"), found("RUNNING")) == (["one"], [])
    now = 161
    assert (found("QUEUED"), found("RUNNING")) == ([], ["one"])


def test_a_create_can_land_after_its_client_was_answered() -> None:
    scenario = played(ask(50, 0), lands_late=1)

    first = next(entry for entry in scenario.standin.journal.entries() if entry.operation == "create")
    heard = next(one for one in scenario.wire.heard if one.sequence == first.sequence)
    assert heard.status in (None, 504)
    assert first.moment < scenario.wire.truth[LIMIT][0].moment <= first.moment + 120


def test_the_youngest_stands() -> None:
    assert kinds(played(ask(50, 0), ask(60, 100))) == []


def test_an_older_number_that_comes_back_is_found() -> None:
    scenario = played(ask(50, 0), ask(60, 100))

    scenario.standin.portals[1].commit(Pair("0-1", "0-2"), {TypeKey("HUBSPOT_DEFINED", 279): 50}, START + 200)

    assert kinds(scenario) == ["undone"]


def test_an_older_number_that_comes_back_and_is_repaired_is_right() -> None:
    scenario = played(ask(50, 0), ask(60, 100))

    scenario.wire.truth[LIMIT] += [Set(START + 200, 50), Set(START + 600, 60)]

    assert kinds(scenario) == []


def test_what_an_outcome_calls_applied_must_stand_whoever_else_asked_for_that_number() -> None:
    scenario = played(ask(50, 0), ask(60, 100), ask(50, 200))
    youngest = scenario.wire.truth[LIMIT].pop()
    assert youngest.number == 50

    assert "undone" in kinds(scenario)  # as its outcome says that it was set


def test_a_replay_of_what_was_not_applied_is_as_old_as_what_it_replays() -> None:
    scenario = played(ask(50, 0), ask(60, 100))
    older = min(scenario.outcomes.values(), key=lambda outcome: outcome.requested_at)
    _copied(scenario, older.id, "replay")

    scenario.wire.truth[LIMIT].append(Set(START + 7_000, 50))
    assert "undone" in kinds(scenario)

    scenario.replayed["replay"] = True  # of everything: then it is the youngest
    assert kinds(scenario) == []


def _copied(scenario: Scenario, outcome_id: str, copy: str) -> None:
    """Give an outcome a replay that was asked for later and is applied."""
    item = dict(scenario.dynamo.items[outcome_id])
    later = item["requestedAt"]["S"].replace("T09:00", "T10:50")
    item |= {"id": {"S": copy}, "requestedAt": {"S": later}, "replayOf": {"S": outcome_id}}
    item["sortKey"] = {"S": f"{later}#{copy}"}
    scenario.dynamo.items[copy] = item
    scenario.dynamo.writes.append((START + 6_600, copy, item))
    scenario.accepted[copy] = []


def test_a_caller_without_a_key_is_never_told_that_one_was_used() -> None:
    scenario = played(ask(50, 0))
    (outcome_id,) = scenario.outcomes

    scenario.refused.append((ask(50, 0), 409, outcome_id))

    assert kinds(scenario) == ["disagreement"]
