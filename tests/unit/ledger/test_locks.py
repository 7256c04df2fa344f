"""Locks between workers: one holder, never for ever, and never taken for an outcome."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from aws.dynamodb import Table
from ledger.locks import Locks
from model.errors import LedgerUnavailable
from model.outcomes import ID
from tests.support.fakes import START

NAME = "refresh#default"
SOON = START + timedelta(seconds=20)


@pytest.fixture
def locks(table: Table) -> Locks:
    return Locks(table)


def test_given_a_free_lock_when_two_ask_the_first_has_it(locks: Locks) -> None:
    assert locks.acquire(NAME, "one", START, SOON)
    assert not locks.acquire(NAME, "two", START, SOON)


def test_each_name_is_a_lock_of_its_own(locks: Locks) -> None:
    assert locks.acquire("refresh#default", "one", START, SOON)
    assert locks.acquire("refresh#acme", "two", START, SOON)


def test_a_holder_that_asks_again_still_has_it(locks: Locks) -> None:
    locks.acquire(NAME, "one", START, SOON)

    assert locks.acquire(NAME, "one", START, SOON)


def test_a_released_lock_is_free(locks: Locks) -> None:
    locks.acquire(NAME, "one", START, SOON)
    locks.release(NAME, "one", START)

    assert locks.acquire(NAME, "two", START, SOON)


def test_the_lock_of_a_dead_holder_is_free_when_its_time_is_over(locks: Locks) -> None:
    locks.acquire(NAME, "dead", START, SOON)

    assert not locks.acquire(NAME, "next", SOON, SOON + timedelta(seconds=20))
    over = SOON + timedelta(milliseconds=1)
    assert locks.acquire(NAME, "next", over, over + timedelta(seconds=20))


def test_a_late_holder_does_not_release_the_lock_of_the_next(locks: Locks) -> None:
    locks.acquire(NAME, "late", START, SOON)
    over = SOON + timedelta(seconds=1)
    locks.acquire(NAME, "next", over, over + timedelta(seconds=20))

    locks.release(NAME, "late", over)

    assert not locks.acquire(NAME, "third", over, over + timedelta(seconds=20))


def test_a_lock_that_never_was_can_be_released(locks: Locks, table: Table) -> None:
    locks.release(NAME, "one", START)

    assert table.get(f"lock#{NAME}") is None


def test_a_lock_is_deleted_a_day_after_its_last_use_and_cannot_be_an_outcome(locks: Locks, table: Table) -> None:
    locks.acquire(NAME, "one", START, SOON)
    locks.release(NAME, "one", START + timedelta(seconds=5))

    item = table.get(f"lock#{NAME}")

    assert item is not None
    assert item["expiresAt"] == int(START.timestamp()) + 86_400 + 5
    assert not item.keys() & {"pairKey", "statusKey", "sortKey"}  # in no index either
    assert not ID.fullmatch(item["id"])


def test_without_the_table_nothing_is_locked() -> None:
    class Unreachable:
        def update_item(self, **_: object) -> object:
            raise EndpointConnectionError(endpoint_url="https://dynamodb.test")

    client: Any = Unreachable()
    locks = Locks(Table(client, "outcomes"))

    with pytest.raises(LedgerUnavailable):
        locks.acquire(NAME, "one", START, SOON)
    with pytest.raises(LedgerUnavailable):
        locks.release(NAME, "one", START)
