"""What all functions remember of object types: for a day, by portal and spelling, and never taken for an outcome."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from aws.dynamodb import Table
from ledger.object_types import TypeMemory
from model.errors import LedgerUnavailable
from model.outcomes import ID
from tests.support.fakes import START

DAY = timedelta(days=1)


@pytest.fixture
def memory(table: Table) -> TypeMemory:
    return TypeMemory(table)


def test_given_an_id_when_another_function_asks_it_has_it(memory: TypeMemory, table: Table) -> None:
    memory.remember("acme", "p_car", "2-456", START)

    assert TypeMemory(table).recall("acme", "p_car", START) == "2-456"


@pytest.mark.parametrize(("portal", "name"), [("default", "p_car"), ("acme", "P_CAR"), ("acme", "p_cars")])
def test_each_portal_and_each_spelling_has_its_own(memory: TypeMemory, portal: str, name: str) -> None:
    memory.remember("acme", "p_car", "2-456", START)

    assert memory.recall(portal, name, START) is None


def test_an_id_is_gone_after_a_day_even_where_dynamodb_still_has_it(memory: TypeMemory) -> None:
    memory.remember("acme", "p_car", "2-456", START)

    assert memory.recall("acme", "p_car", START + DAY - timedelta(seconds=1)) == "2-456"
    assert memory.recall("acme", "p_car", START + DAY) is None


def test_the_answer_of_the_later_question_counts(memory: TypeMemory) -> None:
    later = START + timedelta(seconds=1)
    memory.remember("acme", "p_car", "2-456", START)
    memory.remember("acme", "p_car", "2-789", later)
    memory.remember("acme", "p_car", "2-456", START)  # of a function that was slow

    assert memory.recall("acme", "p_car", START) == "2-789"
    assert memory.recall("acme", "p_car", START + DAY) == "2-789"


def test_an_object_type_is_a_small_item_that_ends_by_itself_and_no_outcome(memory: TypeMemory, table: Table) -> None:
    memory.remember("acme", "p_car", "2-456", START)

    item = table.get("type#acme#p_car")
    assert item == {
        "id": "type#acme#p_car",
        "objectTypeId": "2-456",
        "expiresAt": int((START + DAY).timestamp()),
    }
    assert not ID.fullmatch(item["id"])


def test_without_the_table_nothing_is_remembered() -> None:
    class Unreachable:
        def update_item(self, **_: object) -> object:
            raise EndpointConnectionError(endpoint_url="https://dynamodb.test")

        get_item = update_item

    client: Any = Unreachable()
    memory = TypeMemory(Table(client, "outcomes"))

    with pytest.raises(LedgerUnavailable):
        memory.recall("acme", "p_car", START)
    with pytest.raises(LedgerUnavailable):
        memory.remember("acme", "p_car", "2-456", START)
