"""DynamoDB's BatchExecuteStatement in the ledger's two forms of statement, made of PutItem and UpdateItem.

Moto's own cannot insert with parameters. The local stack's emulator can, and tests/e2e runs the same statements there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

INSERT = re.compile(r"INSERT INTO \"(?P<table>[\w.-]+)\" VALUE \{(?P<fields>.+)\}")
FIELD = re.compile(r"'(\w+)': \?(?:, |$)")
UPDATE = re.compile(
    r'UPDATE "(?P<table>[\w.-]+)" (?P<clauses>.+) WHERE (?P<conditions>.+?)(?P<returning> RETURNING ALL OLD \*)?'
)
CLAUSE = re.compile(r'(?:SET "(\w+)" = \?|REMOVE "(\w+)")(?: |$)')
EQUAL = re.compile(r'"(\w+)" = \?(?: AND |$)')

MOST = 25  # statements of a batch
Write = Callable[..., Any]


class Unsupported(Exception):
    """A statement that the ledger did not write when this was written: teach it here."""


def execute(statements: list[dict[str, Any]], put_item: Write, update_item: Write) -> dict[str, Any]:
    """Carry out statements one after the other, and answer as DynamoDB does: what one fails of is told of it alone."""
    if not 0 < len(statements) <= MOST:
        error: Any = {"Error": {"Code": "ValidationException", "Message": f"{len(statements)} statements"}}
        raise ClientError(error, "BatchExecuteStatement")
    return {
        "Responses": [
            _execute(
                each["Statement"],
                each["Parameters"],
                each.get("ReturnValuesOnConditionCheckFailure", "NONE"),
                put_item,
                update_item,
            )
            for each in statements
        ]
    }


def _execute(text: str, parameters: list[Any], on_failure: str, put_item: Write, update_item: Write) -> dict[str, Any]:
    if insert := INSERT.fullmatch(text):
        names = [field[1] for field in _all(FIELD, insert["fields"])]
        arguments = {
            "Item": dict(zip(names, parameters, strict=True)),
            "ConditionExpression": "attribute_not_exists(id)",
            "ReturnValuesOnConditionCheckFailure": on_failure,
        }
        return _told(insert["table"], put_item, arguments, "DuplicateItem")
    if update := UPDATE.fullmatch(text):
        clauses = [clause.groups() for clause in _all(CLAUSE, update["clauses"])]
        written, removed = [name for name, _ in clauses if name], [name for _, name in clauses if name]
        conditions = [equal[1] for equal in _all(EQUAL, update["conditions"])]
        if len(parameters) != len(written) + len(conditions) or conditions[0] != "id":
            raise Unsupported(text)
        values = {f":v{place}": value for place, value in enumerate(parameters)}
        key = values.pop(f":v{len(written)}")
        sets = ", ".join(f"#{name} = :v{place}" for place, name in enumerate(written))
        removes = f" REMOVE {', '.join(f'#{name}' for name in removed)}" if removed else ""
        # An update by PartiQL makes no item where there is none.
        expected = [f"#{name} = :v{len(written) + 1 + place}" for place, name in enumerate(conditions[1:])]
        arguments = {
            "Key": {"id": key},
            "UpdateExpression": f"SET {sets}{removes}",
            "ConditionExpression": " AND ".join(["attribute_exists(id)", *expected]),
            "ExpressionAttributeNames": {f"#{name}": name for name in {*written, *removed, *conditions[1:]}},
            "ExpressionAttributeValues": values,
            "ReturnValues": "ALL_OLD" if update["returning"] else "NONE",
            "ReturnValuesOnConditionCheckFailure": on_failure,
        }
        return _told(update["table"], update_item, arguments, "ConditionalCheckFailed")
    raise Unsupported(text)


def _told(table: str, write: Write, arguments: dict[str, Any], otherwise: str) -> dict[str, Any]:
    try:
        old = write(TableName=table, **arguments).get("Attributes")
    except ClientError as error:
        code = error.response["Error"]["Code"].removesuffix("Exception")
        told: dict[str, Any] = {"Code": otherwise if code == "ConditionalCheckFailed" else code}
        told["Message"] = error.response["Error"].get("Message", "")
        # Whether DuplicateItem tells the item, AWS does not say: so here it does not.
        if told["Code"] == "ConditionalCheckFailed" and "Item" in error.response:
            told["Item"] = dict(error.response)["Item"]
        return {"TableName": table, "Error": told}
    return {"TableName": table, **({"Item": old} if old and arguments.get("ReturnValues") == "ALL_OLD" else {})}


def _all(pattern: re.Pattern[str], text: str) -> list[re.Match[str]]:
    """What a text consists of, from its beginning to its end."""
    found: list[re.Match[str]] = []
    while not found or found[-1].end() < len(text):
        part = pattern.match(text, found[-1].end() if found else 0)
        if not part or not part[0]:
            raise Unsupported(text)
        found.append(part)
    return found
