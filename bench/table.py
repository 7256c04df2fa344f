"""The table of bench/aws.py: the simulation's, with more of what DynamoDB answers.

Here are the forms of asking in which workers find out about each other: old and new attributes of a write, also of one
that failed, and lists that several of them extend. Each operation is done before the next one begins, so that
conditions hold whoever else asks.
"""

from __future__ import annotations

import time
from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from aws.dynamodb import deserialise
from bench.update_expression import Values, compiled
from bench.write_units import units_of, write
from tests.simulation.dynamo import Dynamo, client_error
from tests.support import partiql

ANY = "attribute_exists(id) OR attribute_not_exists(id)"  # the condition of a write without one
RETURNING = " RETURNING ALL OLD *"
INDEXES = [
    ("id", "pairKey", "sortKey"),
    ("id", "statusKey", "sortKey"),
    ("id", "dueKey", "dueSort"),
]  # infra/storage.py


class Table(Dynamo):
    """Items by `id`, with conditional writes. `units` has the write units by the beginning of the key: of outcomes by
    "", of pairs by "pair"."""

    def __init__(self) -> None:
        super().__init__(lambda operation: "", time.time, index_lag=0)
        self.units: Counter[str] = Counter()
        self._operations: dict[str, Callable[[Values], Values]] = {
            "GetItem": lambda asked: self.get_item(**{"ConsistentRead": False, **asked}),
            "BatchGetItem": lambda asked: self.batch_get_item(**asked),
            "Query": lambda asked: self.query(**asked),
            "PutItem": self._put,
            "UpdateItem": self._update,
            "BatchExecuteStatement": self._execute,
        }

    def answer(self, operation: str, asked: Values) -> Values:
        """Carry out an operation by its name in DynamoDB's API. Raises ClientError, and KeyError for one unknown."""
        return self._operations[operation](asked)

    def _put(self, asked: Values) -> Values:
        return self._changed("PutItem", asked, asked["Item"]["id"]["S"], lambda old: dict(asked["Item"]))

    def _update(self, asked: Values) -> Values:
        names = tuple(sorted(asked.get("ExpressionAttributeNames", {}).items()))
        change, values = compiled(asked["UpdateExpression"], names), asked.get("ExpressionAttributeValues", {})
        key = asked["Key"]
        return self._changed("UpdateItem", asked, key["id"]["S"], lambda old: change(old or dict(key), values))

    def _execute(self, asked: Values) -> Values:
        statements = [{**each, "Statement": each["Statement"].removesuffix(RETURNING)} for each in asked["Statements"]]
        before: list[Values | None] = []

        def noting(write: Callable[[Values], Values]) -> Callable[..., Values]:
            def write_and_note(**arguments: Any) -> Values:
                before.append(self.items.get((arguments.get("Key") or arguments["Item"])["id"]["S"]))
                return write(arguments)

            return write_and_note

        answer = partiql.execute(statements, noting(self._put), noting(self._update))
        for each, old, response in zip(asked["Statements"], before, answer["Responses"], strict=True):
            error = response.get("Error")
            if old and not error and each["Statement"].endswith(RETURNING):
                response["Item"] = old
            # DynamoDB's documentation has the item for a condition that failed, and not for an insert.
            if old and error and error["Code"] == "ConditionalCheckFailed" and _wants_old_of_failed(each):
                error["Item"] = old
        return answer

    def _changed(self, operation: str, asked: Values, key: str, change: Callable[[Values | None], Values]) -> Values:
        old = self.items.get(key)
        names, values = asked.get("ExpressionAttributeNames", {}), asked.get("ExpressionAttributeValues", {})
        kind, before = key.partition("#")[0] if "#" in key else "", _plain(old or {})
        try:
            new = self._write(operation, key, change, asked.get("ConditionExpression", ANY), names, values)
            self.units[kind] += write(before, _plain(new), INDEXES).units
        except ClientError as error:
            self.units[kind] += units_of(before) or 1  # what fails costs as much
            found: dict[str, Any] = {"Item": old} if old and _wants_old_of_failed(asked) else {}
            raise client_error(operation, error.response["Error"]["Code"], **found) from error
        wanted = {"ALL_OLD": old, "ALL_NEW": new}.get(asked.get("ReturnValues", "NONE"))
        return {"Attributes": wanted} if wanted else {}


def _wants_old_of_failed(asked: Values) -> bool:
    return bool(asked.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD")


def _plain(item: Values) -> Values:
    """An item as Python has it. Bytes are text on their way."""

    def value(plain: Any, typed: Mapping[str, Any]) -> Any:
        if isinstance(plain, dict):
            return {name: value(part, typed["M"][name]) for name, part in plain.items()}
        if isinstance(plain, list):
            return [value(part, one) for part, one in zip(plain, typed["L"], strict=True)]
        return b64decode(plain) if "B" in typed else plain

    return {name: value(plain, item[name]) for name, plain in deserialise(item).items()}
