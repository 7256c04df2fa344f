"""The table behind bench/aws.py answers as DynamoDB's documentation has it."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bench.table import Table
from bench.update_expression import compiled
from tests.simulation.expressions import Unsupported

NEW = "attribute_not_exists(id)"
INSERT = "INSERT INTO \"outcomes\" VALUE {'id': ?, 'count': ?}"
UPDATE = 'UPDATE "outcomes" SET "count" = ? REMOVE "left" WHERE "id" = ? AND "fence" = ?'
ONE = {"id": {"S": "one"}, "count": {"N": "1"}, "fence": {"N": "7"}, "left": {"S": "over"}}


@pytest.fixture
def table() -> Table:
    made = Table()
    made.answer("PutItem", {"TableName": "outcomes", "Item": ONE})
    return made


def update(text: str, **rest: Any) -> dict[str, Any]:
    return {"TableName": "outcomes", "Key": {"id": {"S": "one"}}, "UpdateExpression": text, **rest}


def stored(table: Table) -> Any:
    return table.answer("GetItem", {"TableName": "outcomes", "Key": {"id": {"S": "one"}}})["Item"]


def refused(table: Table, operation: str, asked: dict[str, Any]) -> Any:
    with pytest.raises(ClientError) as raised:
        table.answer(operation, asked)
    return raised.value.response


def execute(table: Table, text: str, *parameters: dict[str, Any], **rest: Any) -> Any:
    statement = {"Statement": text, "Parameters": list(parameters), **rest}
    (response,) = table.answer("BatchExecuteStatement", {"Statements": [statement]})["Responses"]
    return response


def test_a_put_tells_of_the_item_before_if_it_is_asked_to(table: Table) -> None:
    other = {**ONE, "count": {"N": "2"}}

    assert table.answer("PutItem", {"Item": other, "ReturnValues": "ALL_OLD"}) == {"Attributes": ONE}
    assert table.answer("PutItem", {"Item": other}) == {}
    assert table.answer("PutItem", {"Item": {"id": {"S": "two"}}, "ReturnValues": "ALL_OLD"}) == {}


def test_a_failed_condition_changes_nothing_and_tells_of_the_item_if_it_is_asked_to(table: Table) -> None:
    asked = {"Item": {"id": {"S": "one"}}, "ConditionExpression": NEW}

    assert "Item" not in refused(table, "PutItem", asked)
    answer = refused(table, "PutItem", {**asked, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"})
    assert answer["Error"]["Code"] == "ConditionalCheckFailedException"
    assert answer["Item"] == ONE == stored(table)


@pytest.mark.parametrize(
    ("condition", "met"),
    [
        ("fence = :seven AND (attribute_not_exists(#done) OR #done < :seven)", True),
        ("fence <= :seven", True),
        ("fence < :seven", False),
        ("attribute_exists(#done) OR fence < :seven", False),
        ("#done < :seven", False),
    ],
)
def test_conditions_combine(table: Table, condition: str, met: bool) -> None:
    asked = update(
        "REMOVE #left",
        ConditionExpression=condition,
        ExpressionAttributeNames={"#done": "done", "#left": "left"},
        ExpressionAttributeValues={":seven": {"N": "7"}},
    )

    if met:
        table.answer("UpdateItem", asked)
    else:
        refused(table, "UpdateItem", asked)
    assert ("left" in stored(table)) is not met


def test_a_list_grows_from_nothing(table: Table) -> None:
    asked = update(
        "SET #waiting = list_append(if_not_exists(#waiting, :none), :more),"
        " #count = if_not_exists(#count, :none) + :one",
        ExpressionAttributeNames={"#waiting": "waiting", "#count": "count"},
        ExpressionAttributeValues={":none": {"L": []}, ":more": {"L": [{"S": "a"}]}, ":one": {"N": "1"}},
    )

    before = table.answer("UpdateItem", {**asked, "ReturnValues": "ALL_OLD"})
    after = table.answer("UpdateItem", {**asked, "ReturnValues": "ALL_NEW"})

    assert before == {"Attributes": ONE}
    assert after["Attributes"] == stored(table)
    assert stored(table) == {**ONE, "waiting": {"L": [{"S": "a"}, {"S": "a"}]}, "count": {"N": "3"}}


def test_an_update_makes_an_item_where_there_is_none(table: Table) -> None:
    asked = update("SET a = :a", ExpressionAttributeValues={":a": {"S": "x"}}, ReturnValues="ALL_OLD")

    assert table.answer("UpdateItem", {**asked, "Key": {"id": {"S": "two"}}}) == {}
    assert table.items["two"] == {"id": {"S": "two"}, "a": {"S": "x"}}


@pytest.mark.parametrize("text", ["SET a = nowhere", "SET a = list_append(fence, :more)", "SET a = id + :one"])
def test_an_operand_must_be_there_and_of_its_kind(table: Table, text: str) -> None:
    values = {":more": {"L": []}, ":one": {"N": "1"}}

    answer = refused(table, "UpdateItem", update(text, ExpressionAttributeValues=values))

    assert answer["Error"]["Code"] == "ValidationException"
    assert stored(table) == ONE


@pytest.mark.parametrize("text", ["ADD #a :a", "SET a", "SET a = :a b", "SET (a) = :a"])
def test_what_is_not_known_is_not_guessed(text: str) -> None:
    with pytest.raises(Unsupported):
        compiled(text, ())


def test_an_insert_fails_alone_where_its_id_is_taken(table: Table) -> None:
    statements = [
        {
            "Statement": INSERT,
            "Parameters": [{"S": name}, {"N": "5"}],
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        for name in ("one", "two")
    ]

    taken, made = table.answer("BatchExecuteStatement", {"Statements": statements})["Responses"]

    assert taken["Error"]["Code"] == "DuplicateItem"
    assert "Item" not in taken["Error"]
    assert made == {"TableName": "outcomes"}
    assert stored(table) == ONE


def test_a_statement_tells_of_the_item_before_if_it_is_asked_to(table: Table) -> None:
    returned = execute(table, f"{UPDATE} RETURNING ALL OLD *", {"N": "2"}, {"S": "one"}, {"N": "7"})

    assert returned == {"TableName": "outcomes", "Item": ONE}
    assert stored(table) == {"id": {"S": "one"}, "count": {"N": "2"}, "fence": {"N": "7"}}
    assert "Item" not in execute(table, UPDATE, {"N": "3"}, {"S": "one"}, {"N": "7"})


def test_a_failed_statement_tells_of_the_item_if_it_is_asked_to(table: Table) -> None:
    given = {"N": "2"}, {"S": "one"}, {"N": "8"}

    silent = execute(table, f"{UPDATE} RETURNING ALL OLD *", *given)
    telling = execute(table, UPDATE, *given, ReturnValuesOnConditionCheckFailure="ALL_OLD")

    assert silent["Error"]["Code"] == telling["Error"]["Code"] == "ConditionalCheckFailed"
    assert "Item" not in silent["Error"]
    assert "Item" not in silent
    assert telling["Error"]["Item"] == ONE == stored(table)


def test_a_statement_makes_no_item_where_there_is_none(table: Table) -> None:
    given = {"N": "2"}, {"S": "two"}, {"N": "8"}

    answer = execute(table, UPDATE, *given, ReturnValuesOnConditionCheckFailure="ALL_OLD")

    assert answer["Error"]["Code"] == "ConditionalCheckFailed"
    assert "Item" not in answer["Error"]
    assert "two" not in table.items


def test_write_units_are_counted_by_what_is_written() -> None:
    table = Table()
    outcome = {"id": {"S": "m-1"}, "pairKey": {"S": "p"}, "sortKey": {"S": "t#m-1"}, "text": {"S": "x" * 2_000}}

    table.answer("PutItem", {"Item": outcome})
    assert table.units == {"": 2 + 1}  # its entry by pair
    # Bytes are text on the wire, a third longer.
    body = {"B": b64encode(bytes(900)).decode()}
    table.answer("PutItem", {"Item": {"id": {"S": "pair#default"}, "register": body}})
    assert table.units["pair"] == 1
    new = {"Item": outcome, "ConditionExpression": "attribute_not_exists(id)"}
    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        table.answer("PutItem", new)
    assert table.units[""] == 3 + 2  # what fails costs as much, but in the indexes nothing
