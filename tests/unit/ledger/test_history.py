"""Pages of a portal's outcomes: what an index has of them, what only a pair has, and what older versions wrote."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from aws.dynamodb import Change, Table
from ledger.history import LEAST_OF_EACH, Filter, History
from ledger.items import pair_key, status_key
from ledger.leases import Lease, Wanted
from ledger.ledger import Ledger
from ledger.register import Applied, Sent
from model.outcomes import Status
from model.pair import Pair
from model.records import iso, milliseconds
from tests.support.aws import Deployment
from tests.support.fakes import PAIR, START, Clock, in_memory, key, leases, request
from tests.support.ledger import Lagging

DAYS = timedelta(days=400)
LEASE = START + timedelta(seconds=45)


def held(table: Table, *pairs: Pair, portal: str = "default") -> None:
    """Let pairs have been held once, by which a portal's list has them."""
    for pair in pairs:
        assert leases(table).give_back(taken(table, pair, portal), START)


def taken(table: Table, pair: Pair, portal: str = "default") -> Lease:
    (lease,) = leases(table).take_many([Wanted(portal, pair)], "one", START, LEASE)
    assert isinstance(lease, Lease)
    return lease


@pytest.fixture
def twelve(table: Table) -> list[str]:
    """Twelve outcomes a second apart, every third of them another pair's, every fifth REJECTED; newest first."""
    ids = []
    ledger = Ledger(table, DAYS)
    for n in range(12):
        to = "companies" if n % 3 == 0 else "contacts"
        asked = request(f"m-{n:02}", (3, 5), at=START + timedelta(seconds=n), toObjectType=to)
        claim = ledger.claim(asked, "one", asked.requested_at, LEASE)
        ended = Status.REJECTED if n % 5 == 0 else Status.COMPLETE
        ledger.settle(replace(claim.outcome, status=ended, finished_at=START), claim.fence)
        ids.append(asked.id)
    held(table, Pair("0-3", "0-1"), Pair("0-3", "0-2"))
    return ids[::-1]


def everything(history: History, **wanted: Any) -> list[str]:
    found: list[str] = []
    following = Filter("default", **wanted)
    while True:
        page = history.page(following)
        found += [outcome.id for outcome in page.outcomes]
        assert len(page.outcomes) <= wanted.get("limit", 50)
        if page.after is None:
            return found
        following = replace(following, after=page.after)


@pytest.mark.parametrize("limit", [1, 5, 12, 13])
def test_pages_hold_every_outcome_once_and_newest_first(table: Table, twelve: list[str], limit: int) -> None:
    history = History(table)
    contacts = [i for i in twelve if int(i[2:]) % 3]

    assert everything(history, limit=limit) == twelve
    assert everything(history, limit=limit, pair=("0-3", "0-1")) == contacts
    assert everything(history, limit=limit, status=Status.REJECTED) == [i for i in twelve if int(i[2:]) % 5 == 0]
    assert everything(history, limit=limit, pair=("0-3", "0-1"), status=Status.REJECTED) == [
        i for i in contacts if int(i[2:]) % 5 == 0
    ]
    assert everything(history, limit=limit, since=iso(START + timedelta(seconds=8))) == twelve[:4]
    assert everything(history, limit=limit, status=Status.QUEUED) == []
    complete = [i for i in twelve if int(i[2:]) % 5]
    assert everything(history, limit=limit, status=Status.COMPLETE) == complete


def test_another_portal_has_its_own_pages(table: Table, twelve: list[str]) -> None:
    assert History(table).page(Filter("acme")).outcomes == []


def test_an_outcome_that_a_lagging_index_shows_under_two_statuses_is_listed_once(
    table: Table, twelve: list[str], deployment: Deployment
) -> None:
    assert everything(History(Lagging(deployment.dynamodb, deployment.table)), limit=5) == twelve


def test_what_the_queue_holds_is_listed_while_it_runs(table: Table, twelve: list[str]) -> None:
    Ledger(table, DAYS).claim_new([request("m-99", (3, 5), at=LEASE)], "one", LEASE, LEASE)

    assert everything(History(table)) == ["m-99", *twelve]
    assert everything(History(table), status=Status.RUNNING) == ["m-99"]


def test_the_first_request_of_a_pair_is_listed_before_its_pair_is_given_back(table: Table) -> None:
    Ledger(table, DAYS).claim_new([request("m-1", (3, 5))], "one", START, LEASE)
    assert leases(table).take_many([Wanted("default", Pair("0-3", "0-1"))], "one", START, LEASE)

    assert everything(History(table)) == ["m-1"]


def test_outcomes_that_an_older_version_has_finished_are_listed_though_no_list_has_their_pair(
    table: Table, twelve: list[str]
) -> None:
    ledger = Ledger(table, DAYS)
    old = request("m-98", (3, 5), at=LEASE, toObjectType="tickets")
    claim = ledger.claim(old, "one", LEASE, LEASE)
    ledger.settle(replace(claim.outcome, status=Status.COMPLETE, finished_at=START), claim.fence)
    by_status = {"statusKey": status_key("default", Status.COMPLETE)}
    table.update("m-98", by_status, condition="attribute_exists(id)", condition_values={})

    assert everything(History(table), limit=5) == ["m-98", *twelve]
    assert everything(History(table), limit=5, status=Status.COMPLETE)[0] == "m-98"


def test_a_page_of_300_pairs_reads_little_of_each() -> None:
    asked: Counter[str] = Counter()

    class Counting(Table):
        def _call(self, operation: str, **arguments: Any) -> Any:
            asked[operation] += 1
            asked["keys"] += arguments.get("Limit", 0) if "pairKey" in str(arguments) else 0
            return super()._call(operation, **arguments)

    clock = Clock()
    table: Any = in_memory(clock)
    for number in range(300):
        pair = Pair("0-3", f"2-{number}")
        held(table, pair)
        for second in range(3):
            moment = iso(START + timedelta(seconds=second))
            outcome_id = f"m-{number}-{second}"
            table.put_new(
                {
                    "id": outcome_id,
                    "portal": "default",
                    "status": "COMPLETE",
                    "trigger": "queue",
                    "requestedAt": moment,
                    "pairKey": pair_key("default", pair.from_type, pair.to_type),
                    "sortKey": f"{moment}#{outcome_id}",
                }
            )

    page = History(Counting(table._client, "outcomes")).page(Filter("default"))

    assert [outcome.id[-1] for outcome in page.outcomes] == ["2"] * 50
    assert page.after
    assert asked["batch_get_item"] == 1
    assert asked["keys"] <= 300 * LEAST_OF_EACH + 5 * 100


def test_a_pair_that_becomes_due_while_the_list_is_read_is_listed() -> None:
    table: Any = in_memory(Clock())
    pairs = [PAIR, *(Pair(f"2-{number}", "0-1") for number in range(130))]
    held(table, *pairs)
    ledger = Ledger(table, DAYS)
    claim = ledger.claim(request("m-1", (3, 5)), "one", START, LEASE)
    ledger.settle(replace(claim.outcome, status=Status.COMPLETE, finished_at=START), claim.fence)

    class Racing(Table):
        raced = False

        def _call(self, operation: str, **arguments: Any) -> Any:
            answer = super()._call(operation, **arguments)
            if "#PAIRS" in str(arguments) and not self.raced:
                self.raced = True
                in_doubt(table)
            return answer

    assert [outcome.id for outcome in History(Racing(table._client, "outcomes")).page(Filter("default")).outcomes] == [
        "m-1"
    ]


def in_doubt(table: Table) -> None:
    """Give a pair back that is to be verified."""
    lease = taken(table, PAIR)
    now = milliseconds(START)
    lease.register.apply(key(3), Applied((now, "younger"), "younger", 7, now, now))
    lease.register.send(Sent(key(3), (now - 1, "older"), "older", 5, now))
    assert leases(table).give_back(lease, START)


def test_a_pair_of_an_older_version_is_listed_from_its_next_use_on(table: Table) -> None:
    held(table, PAIR)
    item_id = Wanted("default", PAIR).item_id
    (changed,) = table.write_many([Change(item_id, {"until": 0}, ["pairKey", "sortKey"], {})])
    assert changed.done
    ledger = Ledger(table, DAYS)
    claim = ledger.claim(request("m-1", (3, 5)), "one", START, LEASE)
    ledger.settle(replace(claim.outcome, status=Status.COMPLETE, finished_at=START), claim.fence)
    assert everything(History(table)) == []

    held(table, PAIR)

    assert everything(History(table)) == ["m-1"]
