"""The DynamoDB table, in plain values. What the attributes mean is for the ledger to know."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from model.errors import LedgerUnavailable
from runtime.telemetry import logger

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

Item = dict[str, Any]
REFERENCE = re.compile(r"#(\w+)")
KEYS_IN_ONE_READ = 100  # DynamoDB's maximum for BatchGetItem
STATEMENTS_IN_ONE_WRITE = 25  # its maximum for BatchExecuteStatement


class ConditionFailed(Exception):
    """A conditional write did not find what it expected. `item` is the item that it found, empty if there is none."""

    def __init__(self, item: Item) -> None:
        super().__init__("the condition of a write was not met")
        self.item = item


@dataclass(frozen=True, slots=True)
class Put:
    """A new item, unless its id is taken."""

    item: Item


@dataclass(frozen=True, slots=True)
class Change:
    """An update of an existing item: set `values` and remove others, if its attributes are as `expected`. `old` asks
    for the item as it was before."""

    item_id: str
    values: Mapping[str, Any]
    remove: Sequence[str]
    expected: Mapping[str, Any]
    old: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """Whether one of many writes was made: otherwise the item was not as expected, or the write failed. `item` is the
    one that was asked for, or that stood in the way, where DynamoDB tells it, and empty where it tells of none."""

    done: bool
    item: Item | None = None


class Table:
    """Items by `id`. Every method raises LedgerUnavailable when DynamoDB cannot be reached or refuses."""

    def __init__(self, client: DynamoDBClient, name: str) -> None:
        self._client = client
        self._name = name

    def get(self, item_id: str) -> Item | None:
        """The item as last written, or None."""
        answer = self._call("get_item", TableName=self._name, Key={"id": {"S": item_id}}, ConsistentRead=True)
        return deserialise(answer["Item"]) if "Item" in answer else None

    def get_many(self, ids: Sequence[str]) -> Iterator[Item]:
        """Those of the items that exist, in any order."""
        for start in range(0, len(ids), KEYS_IN_ONE_READ):
            keys = [{"id": {"S": item_id}} for item_id in ids[start : start + KEYS_IN_ONE_READ]]
            wanted: dict[str, Any] = {self._name: {"Keys": keys, "ConsistentRead": True}}
            while wanted:
                answer = self._call("batch_get_item", RequestItems=wanted)
                yield from map(deserialise, answer["Responses"].get(self._name, []))
                wanted = answer.get("UnprocessedKeys") or {}  # one answer ends at 16 MB

    def put_new(self, item: Item) -> None:
        """Write an item unless its id is taken. Raises ConditionFailed."""
        self._call(
            "put_item",
            TableName=self._name,
            Item=serialise(item),
            ConditionExpression="attribute_not_exists(id)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )

    def write_many(self, writes: Sequence[Put | Change]) -> list[Written]:
        """Make writes, of no item twice, in as few calls as DynamoDB allows. Each is made or fails alone."""
        return self._execute([self._statement(each) for each in writes])

    def _statement(self, write: Put | Change) -> dict[str, Any]:
        if isinstance(write, Put):
            fields = ", ".join(f"'{name}': ?" for name in write.item)
            return _parameters(f'INSERT INTO "{self._name}" VALUE {{{fields}}}', write.item.values())
        clauses = [f'SET "{name}" = ?' for name in write.values] + [f'REMOVE "{name}"' for name in write.remove]
        conditions = " AND ".join(f'"{name}" = ?' for name in ("id", *write.expected))
        text = f'UPDATE "{self._name}" {" ".join(clauses)} WHERE {conditions}'
        if write.old:
            text += " RETURNING ALL OLD *"
        statement = _parameters(text, (*write.values.values(), write.item_id, *write.expected.values()))
        if write.old:
            statement["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        return statement

    def update(
        self,
        item_id: str,
        values: Mapping[str, Any],
        *,
        condition: str,
        condition_values: Mapping[str, Any],
        first: Mapping[str, Any] | None = None,
        count: str | None = None,
        append: Mapping[str, Sequence[Any]] | None = None,
        remove: Sequence[str] = (),
        answer: bool = False,
    ) -> Item:
        """Set `values`, set those of `first` that are not set yet, add one to `count`, append to lists, and remove
        others. Returns the item after that if `answer` is set.

        Raises ConditionFailed. In a condition `#name` stands for an attribute, as some plain names are reserved.
        """
        first = {name: value for name, value in (first or {}).items() if name not in values and name != "id"}
        clauses = [f"#{name} = :{name}" for name in values]
        clauses += [f"#{name} = if_not_exists(#{name}, :{name})" for name in first]
        given = {f":{name}": value for name, value in {**values, **first}.items()} | dict(condition_values)
        if count:
            clauses.append(f"#{count} = if_not_exists(#{count}, :zero) + :one")
            given |= {":zero": 0, ":one": 1}
        for name, more in (append or {}).items():
            clauses.append(f"#{name} = list_append(if_not_exists(#{name}, :none), :{name})")
            given |= {":none": [], f":{name}": more}
        removal = f" REMOVE {', '.join(f'#{name}' for name in remove)}" if remove else ""
        names = {*values, *first, *remove, *(append or {}), *REFERENCE.findall(condition)} | (
            {count} if count else set()
        )
        updated = self._call(
            "update_item",
            TableName=self._name,
            Key={"id": {"S": item_id}},
            UpdateExpression=f"SET {', '.join(clauses)}" + removal,
            ConditionExpression=condition,
            ExpressionAttributeNames={f"#{name}": name for name in sorted(names)},
            ExpressionAttributeValues=serialise(given),
            ReturnValues="ALL_NEW" if answer else "NONE",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
        return deserialise(updated["Attributes"]) if answer else {}

    def query(
        self,
        index: str,
        partition: tuple[str, str],
        between: tuple[str, str],
        page: int,
        *,
        oldest_first: bool = False,
        sort: str = "sortKey",
    ) -> Iterator[Item]:
        """Index entries of one partition between two sort keys, both included, newest first unless asked otherwise,
        read `page` at a time."""
        attribute, value = partition
        more: dict[str, Any] = {}
        while True:
            answer = self._call(
                "query",
                TableName=self._name,
                IndexName=index,
                KeyConditionExpression=f"{attribute} = :value AND {sort} BETWEEN :oldest AND :newest",
                ExpressionAttributeValues=serialise({":value": value, ":oldest": between[0], ":newest": between[1]}),
                ScanIndexForward=oldest_first,
                Limit=page,
                **more,
            )
            yield from map(deserialise, answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            more = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def _execute(self, statements: Sequence[dict[str, Any]]) -> list[Written]:
        """Write by PartiQL: only there can one call make many conditional writes of which each fails alone."""
        written: list[Written] = []
        for start in range(0, len(statements), STATEMENTS_IN_ONE_WRITE):
            some = statements[start : start + STATEMENTS_IN_ONE_WRITE]
            try:
                answer = self._call("batch_execute_statement", Statements=some)
            except LedgerUnavailable as error:
                logger.warning("writes failed", error=str(error))  # each is tried once more alone
                written += [Written(False)] * len(some)
            else:
                written += map(_written, some, answer["Responses"])
        return written

    def _call(self, operation: str, **arguments: Any) -> Any:
        try:
            return getattr(self._client, operation)(**arguments)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "ConditionalCheckFailedException":
                found: Any = error.response.get("Item", {})
                raise ConditionFailed(deserialise(found)) from error
            raise LedgerUnavailable(f"{operation} failed: {code}: {error.response['Error'].get('Message')}") from error
        except BotoCoreError as error:
            raise LedgerUnavailable(f"{operation} failed: {type(error).__name__}") from error


def _parameters(text: str, values: Iterable[Any]) -> dict[str, Any]:
    return {"Statement": text, "Parameters": list(map(typed, values))}


def _written(statement: Mapping[str, Any], answer: Mapping[str, Any]) -> Written:
    error = answer.get("Error")
    item = (error or answer).get("Item")
    # The item that does not meet a condition is told where it was asked for: none is told if there is none.
    if error and error["Code"] == "ConditionalCheckFailed" and "ReturnValuesOnConditionCheckFailure" in statement:
        item = item or {}
    return Written(error is None, None if item is None else deserialise(item))


# Not boto3.dynamodb.types: for a claimed item of four limits its TypeSerializer takes 26 µs and this 9 (Python 3.13).
# One of 25 writes in a batch takes 53 µs of processor time besides, so that each write would take a quarter more. And
# its numbers are Decimals.
def serialise(values: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values as DynamoDB's typed ones. Raises TypeError for what the ledger never holds, such as a fraction."""
    return {name: typed(value) for name, value in values.items()}


def deserialise(item: Mapping[str, Any]) -> dict[str, Any]:
    """DynamoDB's typed values as plain ones, numbers as int and binary as bytes."""
    return {name: _plain(value) for name, value in item.items()}


def typed(value: object) -> dict[str, Any]:
    """A plain value as DynamoDB's typed one. Raises TypeError for what the ledger never holds."""
    match value:
        case str():
            return {"S": value}
        case bool():  # which is an int as well
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case None:
            return {"NULL": True}
        case bytes():
            return {"B": value}
        case dict() | Mapping():
            return {"M": serialise(value)}
        case list() | tuple():
            return {"L": list(map(typed, value))}
    raise TypeError(f"the ledger holds no {type(value).__name__}")


def _plain(typed: Mapping[str, Any]) -> Any:
    ((kind, value),) = typed.items()
    match kind:
        case "S" | "BOOL" | "B":
            return value
        case "N":
            return int(value)
        case "NULL":
            return None
        case "M":
            return {name: _plain(part) for name, part in value.items()}
        case "L":
            return list(map(_plain, value))
    raise TypeError(f"the ledger holds no value of DynamoDB's type {kind}")
