"""The table of bench/aws.py: the simulation's, with more of what DynamoDB answers.

Here are the forms of asking in which workers find out about each other: old and new attributes of a write, also of one
that failed, and lists that several of them extend. Each operation is done before the next one begins, so that
conditions hold whoever else asks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from bench.update_expression import Values, compiled
from tests.simulation.dynamo import Dynamo, client_error
from tests.support import partiql

ANY = "attribute_exists(id) OR attribute_not_exists(id)"  # the condition of a write without one
RETURNING = " RETURNING ALL OLD *"


class Table(Dynamo):
    """Items by `id`, with conditional writes."""

    def __init__(self) -> None:
        super().__init__(lambda operation: "", time.time, index_lag=0)
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
        try:
            new = self._write(operation, key, change, asked.get("ConditionExpression", ANY), names, values)
        except ClientError as error:
            found: dict[str, Any] = {"Item": old} if old and _wants_old_of_failed(asked) else {}
            raise client_error(operation, error.response["Error"]["Code"], **found) from error
        wanted = {"ALL_OLD": old, "ALL_NEW": new}.get(asked.get("ReturnValues", "NONE"))
        return {"Attributes": wanted} if wanted else {}


def _wants_old_of_failed(asked: Values) -> bool:
    return bool(asked.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD")
