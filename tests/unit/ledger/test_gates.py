"""What waits in the ledger is found when it is due, pair by pair, and a portal without anything is not looked at."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws.dynamodb import Table
from ledger.gates import PREFIX, Gate, Gates
from ledger.ledger import Ledger
from model.errors import LedgerUnavailable
from model.outcomes import Outcome, Status
from tests.simulation.dynamo import Dynamo
from tests.support.fakes import START, request

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


class Parking:
    """A ledger in which requests wait."""

    def __init__(self) -> None:
        self.failing = ""
        dynamo: Any = Dynamo(self._step, START.timestamp, 0)
        self.dynamo = dynamo
        self.table = Table(dynamo, "outcomes")
        self.ledger = Ledger(self.table, timedelta(days=400))
        self.gates = Gates(self.table)

    def _step(self, operation: str) -> str:
        return "throttled" if operation == self.failing else ""

    def park(self, own_id: str, due: datetime, portal: str = "default", to: str = "contacts") -> Outcome:
        """Let a request wait."""
        claim = self.ledger.claim(request(own_id, (3, 5), portal=portal, toObjectType=to), "one", START, START + HOUR)
        outcome = replace(claim.outcome, status=Status.DEFERRED, retry_at=due, reason="a day is spent", parked=True)
        self.ledger.settle(outcome, claim.fence)
        self.gates.wait(portal, due, START)
        return outcome

    def due(self, now: datetime) -> list[str]:
        return sorted(gate.portal for gate in Gates(self.table).due(now))

    def gate(self, portal: str = "default", now: datetime = START + 100 * HOUR) -> Gate:
        (gate,) = (each for each in self.gates.due(now) if each.portal == portal)
        return gate

    def pairs(self, gate: Gate | None = None) -> list[str]:
        return sorted(found.pair for found in self.gates.pairs(gate or self.gate()))


@pytest.fixture
def parking() -> Parking:
    return Parking()


def test_a_portal_is_due_when_the_first_that_waits_is(parking: Parking) -> None:
    parking.park("m-1", START + 2 * HOUR)
    parking.park("m-2", START + HOUR)
    parking.park("m-3", START + 3 * HOUR, portal="acme")

    assert parking.due(START + HOUR - SECOND) == []
    assert parking.due(START + HOUR) == ["default"]
    assert parking.due(START + 3 * HOUR) == ["acme", "default"]


def test_many_that_wait_for_the_same_time_write_their_gate_once(parking: Parking) -> None:
    for number in range(9):
        parking.park(f"m-{number}", START + HOUR)

    assert sum(key.startswith(PREFIX) for _, key, _ in parking.dynamo.writes) == 1


def test_a_gate_that_may_have_been_closed_meanwhile_is_written_again(parking: Parking) -> None:
    parking.park("m-1", START + HOUR)
    Gates(parking.table).go_on(parking.gate(), None)

    parking.gates.wait("default", START + 2 * HOUR, START + HOUR - SECOND)

    assert parking.due(START + 2 * HOUR) == ["default"]


def test_each_pair_is_found_once_with_when_its_first_is_due(parking: Parking) -> None:
    for number, to in enumerate(["contacts", "contacts", "companies", "2-7"]):
        parking.park(f"m-{number}", START + (4 - number) * HOUR, to=to)
    parking.park("m-9", START + HOUR, portal="acme")

    found = {each.pair: each.due for each in parking.gates.pairs(parking.gate())}

    assert found == {
        "deals#contacts": START + 3 * HOUR,
        "deals#companies": START + 2 * HOUR,
        "deals#2-7": START + HOUR,
    }


@given(types=st.sets(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,9}", fullmatch=True), min_size=1, max_size=9))
def test_a_look_goes_on_after_any_pair(types: set[str]) -> None:
    parking = Parking()
    for number, name in enumerate(sorted(types)):
        parking.park(f"m-{number}", START + HOUR, to=name)
    seen: list[str] = []

    gate = parking.gate()
    while found := next(parking.gates.pairs(gate), None):
        seen.append(found.pair)
        parking.gates.go_on(gate, START + HOUR, found.place)
        gate = parking.gate()

    assert sorted(seen) == sorted(f"deals#{name}" for name in types)


def test_given_something_due_earlier_meanwhile_a_gate_stays_as_it_is(parking: Parking) -> None:
    parking.park("m-1", START + 2 * HOUR)
    gate = parking.gate()
    parking.park("m-2", START + HOUR, to="companies")

    parking.gates.go_on(gate, None)

    assert parking.due(START + HOUR) == ["default"]


def test_given_something_due_later_that_is_noted_while_a_portal_is_gone_through_its_gate_stays_open(
    parking: Parking,
) -> None:
    parking.park("m-1", START + SECOND)
    gate = parking.gate(now=START + HOUR)
    Gates(parking.table).wait("default", START + 3 * HOUR, START + HOUR)
    Gates(parking.table).wait("default", START + 2 * HOUR, START + HOUR)

    parking.gates.go_on(gate, None)

    assert parking.due(START + 2 * HOUR - SECOND) == []
    assert parking.due(START + 2 * HOUR) == ["default"]
    parking.gates.go_on(parking.gate(), None)
    assert parking.due(START + 100 * HOUR) == []


def test_of_a_pair_what_is_due_is_found_and_nothing_that_has_been_taken(parking: Parking) -> None:
    parking.park("m-1", START + HOUR)
    parking.park("m-2", START + 2 * HOUR)
    parking.park("m-3", START + HOUR, to="companies")
    taken = parking.park("m-4", START + HOUR)
    parking.ledger.claim(request(taken.id, (3, 5)), "another", START + HOUR, START + 2 * HOUR)

    found, is_more = parking.gates.waiting("default", "deals#contacts", START + HOUR, 9)

    assert ([outcome.id for outcome in found], is_more) == (["m-1"], False)
    assert parking.pairs() == ["deals#companies", "deals#contacts"]


def test_no_more_than_asked_for_is_found_and_what_is_due_first(parking: Parking) -> None:
    for number in range(5):
        parking.park(f"m-{number}", START + (9 - number) * HOUR)

    found, is_more = parking.gates.waiting("default", "deals#contacts", START + 9 * HOUR, 2)

    assert (sorted(outcome.id for outcome in found), is_more) == (["m-3", "m-4"], True)


def test_what_a_version_without_gates_has_run_is_taken_out_of_the_index(parking: Parking) -> None:
    ran, again = (parking.park(each, START + HOUR) for each in ("m-1", "m-2"))
    for outcome, status in ((ran, "COMPLETE"), (again, "RUNNING")):
        parking.dynamo.items[outcome.id] |= {"status": {"S": status}}

    assert parking.gates.waiting("default", "deals#contacts", START + HOUR, 9) == ([], False)

    assert parking.pairs() == []
    left = parking.ledger.get("m-1")
    assert left is not None
    assert left.parked is False


def test_an_index_entry_whose_gate_has_moved_on_is_none_that_is_due() -> None:
    parking = Parking()
    parking.park("m-1", START + HOUR)
    item = parking.dynamo.items[PREFIX + "default"]
    item["dueSort"] = {"S": "2099"}  # what the index has not shown yet

    assert parking.due(START + HOUR) == []


@pytest.mark.parametrize("operation", ["query", "get_item"])
def test_without_the_table_nothing_is_said(parking: Parking, operation: str) -> None:
    parking.park("m-1", START + HOUR)
    parking.failing = operation

    with pytest.raises(LedgerUnavailable):
        parking.due(START + HOUR)


def test_without_the_table_no_gate_is_moved(parking: Parking) -> None:
    parking.park("m-1", START + HOUR)
    gate = parking.gate()
    parking.failing = "update_item"

    with pytest.raises(LedgerUnavailable):
        parking.gates.go_on(gate, None)
    with pytest.raises(LedgerUnavailable):
        parking.gates.wait("acme", START + HOUR, START)


def test_gates_are_the_same_over_motos_table(table: Table) -> None:
    parking = Parking()
    parking.table, parking.ledger, parking.gates = table, Ledger(table, timedelta(days=400)), Gates(table)
    parking.park("m-1", START + HOUR)
    parking.park("m-2", START + HOUR, to="companies")

    assert parking.pairs() == ["deals#companies", "deals#contacts"]
    gate = parking.gate()
    (found,), _ = parking.gates.waiting("default", "deals#contacts", START + HOUR, 9)
    assert found.id == "m-1"
    parking.gates.go_on(gate, None)
    assert parking.due(START + HOUR) == []
