"""How often a client may ask, counted over all functions."""

from __future__ import annotations

from datetime import timedelta

import pytest

from aws.dynamodb import Table
from ledger.client_rates import PREFIX, ClientRates
from model.outcomes import ID
from tests.support.fakes import START


@pytest.fixture
def rates(table: Table) -> ClientRates:
    return ClientRates(table)


@pytest.mark.parametrize("most", [1, 3])
def test_given_a_rate_when_a_client_asks_more_often_in_a_minute_the_rest_is_refused(
    rates: ClientRates, most: int
) -> None:
    assert [rates.admit("crm", most, START) for _ in range(most + 2)] == [True] * most + [False] * 2


def test_all_functions_count_together(table: Table) -> None:
    assert [ClientRates(table).admit("crm", 2, START) for _ in range(3)] == [True, True, False]


def test_the_next_minute_is_a_new_one(rates: ClientRates) -> None:
    assert rates.admit("crm", 1, START)
    assert not rates.admit("crm", 1, START + timedelta(seconds=59))
    assert rates.admit("crm", 1, START + timedelta(seconds=60))


def test_each_client_has_its_own(rates: ClientRates) -> None:
    assert rates.admit("crm", 1, START)
    assert rates.admit("sales", 1, START)


def test_a_count_is_no_outcome_and_ends_by_itself(rates: ClientRates, table: Table) -> None:
    rates.admit("crm", 1, START)

    item = table.get(f"{PREFIX}crm#2026-11-23T09:00")
    assert item == {
        "id": f"{PREFIX}crm#2026-11-23T09:00",
        "taken": 1,
        "expiresAt": int((START + timedelta(hours=1)).timestamp()),
    }
    assert not ID.fullmatch(item["id"])
