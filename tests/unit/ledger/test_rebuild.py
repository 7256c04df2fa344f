"""A pair's first register is made of what was settled before pairs had one: once, and of all of it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from time import sleep
from typing import Any

import pytest

from aws.dynamodb import Item, Table
from ledger.history import History
from ledger.items import from_outcome, pair_key, status_key
from ledger.leases import Lease, Leases, Taken, Wanted
from ledger.rebuild import PREFIX, Rebuild
from ledger.register import Applied, Register, Sent
from model.errors import LedgerUnavailable
from model.outcomes import Doubt, Outcome, Result, Status, new_outcome
from model.pair import Pair
from model.records import iso, milliseconds, plain
from runtime.concurrency import MAX_THREADS
from tests.simulation.dynamo import Dynamo
from tests.support.fakes import PAIR, START, key, request

LAG = timedelta(minutes=5)
NOW = milliseconds(START)
SECOND = timedelta(seconds=1)
LATER = START + timedelta(days=1)


class Recording(Table):
    """Notes by which index it is searched, and for what."""

    def __init__(self, client: Any, name: str) -> None:
        super().__init__(client, name)
        self.searched: list[tuple[str, str]] = []

    def query(self, index: str, partition: tuple[str, str], *rest: Any, **named: Any) -> Iterator[Item]:
        self.searched.append((index, partition[1]))
        return super().query(index, partition, *rest, **named)


class Before:
    """A table with outcomes of before, and leases of a deployment that is new."""

    def __init__(self) -> None:
        self.failing = ""
        self.slow = 0.0  # seconds that each operation takes
        dynamo: Any = Dynamo(self._step, START.timestamp, 0)
        self.table = Recording(dynamo, "outcomes")

    def _step(self, operation: str) -> str:
        sleep(self.slow)
        return "throttled" if operation == self.failing else ""

    @property
    def leases(self) -> Leases:
        """As a new environment has them."""
        return Leases(self.table, timedelta(days=400), LAG, Rebuild(self.table, History(self.table), LAG))

    def register(self, pair: Pair = PAIR, portal: str = "default", spelt: Any = ()) -> Register:
        """The register of a pair that is held for the first time, or again."""
        leases = self.leases
        (lease,) = leases.take_many([Wanted(portal, pair, spelt=frozenset(spelt))], "one", LATER, LATER)
        assert isinstance(lease, Lease)
        assert leases.give_back(lease, LATER)
        return lease.register

    def has(self, own_id: str, *limits: tuple[int, int], second: int = 0, spelt: Any = None, **told: Any) -> Outcome:
        """Write an outcome as it was written before pairs had registers."""
        result = told.pop("result", Result.APPLIED)
        at = START + SECOND * second
        outcome = new_outcome(request(own_id, *limits, at=at), Status.COMPLETE)
        inputs = tuple(replace(item, result=result) for item in outcome.inputs)
        outcome = replace(outcome, **{"inputs": inputs, "finished_at": at, **told})
        item = from_outcome(outcome) | {"statusKey": status_key(outcome.portal, outcome.status)}
        item["inputs"] = plain(outcome.inputs)
        item["pairKey"] = pair_key(outcome.portal, *(spelt or ("deals", "contacts")))
        item["sortKey"] = f"{iso(at)}#{own_id}"
        self.table.put_new(item)
        return outcome

    def searched_for(self, index: str) -> list[str]:
        return [value for name, value in self.table.searched if name == index]


def applied(own_id: str, number: int, second: int = 0) -> Applied:
    return Applied((NOW + 1000 * second, own_id), own_id, number, NOW + 1000 * second, NOW + 1000 * second)


def test_given_outcomes_under_several_spellings_the_youngest_of_each_limit_is_in_the_register() -> None:
    before = Before()
    before.has("m-1", (3, 1), (4, 1), second=1)
    before.has("m-2", (3, 2), (5, 2), second=4, spelt=("Deals", "contact"))
    before.has("m-3", (3, 3), (6, 3), second=3, spelt=("0-3", "0-1"))
    before.has("m-4", (3, 4), (4, 4), second=2, spelt=("DEAL", "0-1"))
    before.has("m-5", (3, 5), second=9, spelt=("contacts", "deals"))  # another pair

    assert before.register().last == {
        key(3): applied("m-2", 2, 4),
        key(4): applied("m-4", 4, 2),
        key(5): applied("m-2", 2, 4),
        key(6): applied("m-3", 3, 3),
    }


@pytest.mark.parametrize("result", Result)
def test_given_an_outcome_only_what_it_has_set_or_may_have_set_is_in_the_register(result: Result) -> None:
    before = Before()
    before.has("m-1", (3, 5), result=result)

    last = before.register().last

    assert (key(3) in last) == (result in (Result.APPLIED, Result.UNCHANGED, Result.UNCONFIRMED))
    assert all(each.unconfirmed == (result is Result.UNCONFIRMED) for each in last.values())


def test_given_many_outcomes_the_oldest_is_found_too() -> None:
    before = Before()
    before.has("m-old", (3, 7))
    for n in range(250):
        before.has(
            f"m-{n:03}", (100 + n % 40, 1), second=1 + n, spelt=[("deals", "contacts"), ("0-3", "contact")][n % 2]
        )

    last = before.register().last

    assert last[key(3)] == applied("m-old", 7)
    assert len(last) == 41


def test_given_an_outcome_in_doubt_its_sends_are_in_the_register() -> None:
    before = Before()
    since = START + SECOND * 9
    told: Any = {"status": Status.DEFERRED, "finished_at": None, "doubt": Doubt(since=since)}
    before.has("m-1", (3, 5), (4, 6), result=Result.PENDING, **told)

    register = before.register()

    age = (NOW, "m-1")
    assert register.last == {}
    assert sorted(register.sends, key=lambda each: each.key) == [
        Sent(key(3), age, "m-1", 5, milliseconds(since)),
        Sent(key(4), age, "m-1", 6, milliseconds(since)),
    ]


def test_a_register_is_built_once() -> None:
    before = Before()
    before.has("m-1", (3, 5))
    first = before.register()
    before.table.searched.clear()
    before.has("m-2", (3, 7), second=1)

    assert before.register() == first
    assert before.table.searched == []


def test_given_a_portal_without_outcomes_of_before_its_pairs_are_searched_for_nothing() -> None:
    before = Before()
    before.has("m-1", (3, 5))

    assert before.register(portal="acme") == Register(LAG)
    assert before.searched_for("by-pair") == []
    before.table.searched.clear()

    for pair in (Pair("0-1", "0-2"), Pair("0-3", "2-456")):  # each in an environment that is new
        assert before.register(pair, "acme") == Register(LAG)
    assert before.table.searched == []


def test_given_several_threads_that_meet_a_portal_at_once_one_of_them_looks() -> None:
    before = Before()
    before.slow = 0.02
    leases = before.leases
    pairs = [Pair("0-1", f"2-{number}") for number in range(MAX_THREADS)]

    def take(pair: Pair) -> Taken:
        return leases.take_many([Wanted("default", pair)], "one", LATER, LATER)[0]

    with ThreadPoolExecutor(MAX_THREADS) as pool:
        taken = list(pool.map(take, pairs))

    assert all(isinstance(each, Lease) for each in taken)
    assert len(before.searched_for("by-status")) == len(Status)


def test_outcomes_of_the_new_form_are_none_of_before() -> None:
    before = Before()
    outcome = new_outcome(request("m-1", (3, 5)), Status.COMPLETE)
    before.table.put_new(
        from_outcome(outcome) | {"statusKey": status_key("default", Status.COMPLETE), "sortKey": f"{iso(START)}#m-1"}
    )

    before.register()

    assert before.searched_for("by-pair") == []


@pytest.mark.parametrize("status", [Status.COMPLETE, Status.DEFERRED, Status.FAILED])
def test_a_portal_has_outcomes_of_before_whatever_their_status(status: Status) -> None:
    before = Before()
    before.has("m-1", (3, 5), status=status)

    assert key(3) in before.register().last
    assert before.table.get(PREFIX + "default") == {"id": PREFIX + "default", "before": True}


@pytest.mark.parametrize("operation", ["query", "batch_get_item"])
def test_a_register_that_cannot_be_built_now_is_built_later(operation: str) -> None:
    before = Before()
    before.has("m-1", (3, 5))
    before.failing = operation

    (taken,) = before.leases.take_many([Wanted("default", PAIR)], "one", LATER, LATER)
    assert isinstance(taken, LedgerUnavailable)
    assert before.table.get(Wanted("default", PAIR).item_id) is None

    before.failing = ""
    assert key(3) in before.register().last


def test_given_outcomes_of_a_custom_type_under_its_name_they_are_in_the_register_too() -> None:
    before = Before()
    before.has("m-1", (3, 5), spelt=("p_boat", "contacts"))

    assert key(3) in before.register(Pair("2-456", "0-1"), spelt=[("p_boat", "contacts")]).last
