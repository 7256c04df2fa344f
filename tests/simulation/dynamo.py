"""DynamoDB as its documentation has it: conditional writes, consistent reads, indexes that lag, throttling."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError

from tests.simulation.expressions import condition, number_or_text, update
from tests.support import partiql

Item = dict[str, Any]
MOST_KEYS = 100  # of a BatchGetItem
MOST_BYTES = 409_600  # of an item; what is no text is little here, and the texts that are large are ASCII
Shown = tuple[float, float]


def client_error(operation: str, code: str, status: int = 400, **rest: Any) -> ClientError:
    """An AWS error in its real shape."""
    told: dict[str, Any] = {"Code": code, "Message": "simulated"}
    error: Any = {"Error": told, "ResponseMetadata": {"HTTPStatusCode": status}, **rest}
    return ClientError(error, operation)


SORTED_BY = {"pairKey": "sortKey", "statusKey": "sortKey", "dueKey": "dueSort"}  # indexes: infra/storage.py


class Dynamo:
    """One table. `step` is called before and after each operation, so that other workers can come in between and this
    one can die; it returns whether the operation is to fail, and how.

    A write that is `retried` is made twice, as by a client that got no answer to the first: so a conditional write can
    meet the item that it has written itself.
    """

    def __init__(self, step: Callable[[str], str], clock: Callable[[], float], index_lag: float) -> None:
        self._step = step
        self._clock = clock
        self._index_lag = index_lag
        self.items: dict[str, Item] = {}
        # By indexed attribute, its value and sort key: since when and until when the index shows an item.
        self._by: dict[str, dict[str, dict[str, list[Shown]]]] = {each: {} for each in SORTED_BY}
        self._ids: dict[str, Item] = {}  # by sort key
        self.writes: list[tuple[float, str, Item]] = []

    # ------------------------------------------------------------------------------------------------------ the client
    def get_item(self, *, TableName: str, Key: Item, ConsistentRead: bool) -> Item:
        self._before("get_item")
        item = self._live(Key["id"]["S"])
        self._after("get_item")
        return {"Item": item} if item else {}

    def batch_get_item(self, *, RequestItems: Item) -> Item:
        self._before("batch_get_item")
        ((table, wanted),) = RequestItems.items()
        if len(wanted["Keys"]) > MOST_KEYS:
            raise client_error("batch_get_item", "ValidationException")
        found = [item for key in wanted["Keys"] if (item := self._live(key["id"]["S"]))]
        self._after("batch_get_item")
        return {"Responses": {table: found}}

    def put_item(self, *, Item: Item, ConditionExpression: str, alone: bool = True, **rest: Any) -> Item:
        self._before("put_item")

        self._written(
            "put_item",
            lambda: self._write("put_item", Item["id"]["S"], lambda old: dict(Item), ConditionExpression, {}, {}),
            alone=alone,
        )
        return {}

    def update_item(
        self,
        *,
        Key: Item,
        UpdateExpression: str,
        ConditionExpression: str,
        ExpressionAttributeNames: dict[str, str],
        ExpressionAttributeValues: dict[str, Any],
        ReturnValues: str = "NONE",
        alone: bool = True,
        **rest: Any,
    ) -> Item:
        self._before("update_item")
        names = tuple(sorted(ExpressionAttributeNames.items()))
        apply = update(UpdateExpression, names)

        def write() -> Item:
            old = self._live(Key["id"]["S"])
            new = self._write(
                "update_item",
                Key["id"]["S"],
                lambda old: apply(old or dict(Key), ExpressionAttributeValues),
                ConditionExpression,
                ExpressionAttributeNames,
                ExpressionAttributeValues,
            )
            return old or {} if ReturnValues == "ALL_OLD" else new

        return {"Attributes": self._written("update_item", write, alone=alone)}

    def batch_execute_statement(self, *, Statements: list[Item]) -> Item:
        """Each statement is on its own: others come in between, one can fail alone, and the writer can die half-way."""
        self._before("batch_execute_statement")
        put_item, update_item = partial(self.put_item, alone=False), partial(self.update_item, alone=False)
        return self._written("batch_execute_statement", lambda: partiql.execute(Statements, put_item, update_item))

    def query(
        self,
        *,
        KeyConditionExpression: str,
        ExpressionAttributeValues: dict[str, Any],
        Limit: int,
        ScanIndexForward: bool = False,
        ExclusiveStartKey: Item | None = None,
        **rest: Any,
    ) -> Item:
        self._before("query")
        attribute = KeyConditionExpression.split(" ", 1)[0]
        low, high = (ExpressionAttributeValues[name]["S"] for name in (":oldest", ":newest"))
        partition = self._by[attribute].get(ExpressionAttributeValues[":value"]["S"], {})
        now = self._clock()
        shown = (key for key, times in partition.items() if any(since <= now < until for since, until in times))
        keys = sorted(key for key in shown if low <= key <= high)
        if ExclusiveStartKey:
            end = ExclusiveStartKey[SORTED_BY[attribute]]["S"]
            keys = [key for key in keys if (key > end if ScanIndexForward else key < end)]
        if not ScanIndexForward:
            keys.reverse()
        rows = [{"id": self._ids[key], SORTED_BY[attribute]: {"S": key}} for key in keys[:Limit]]
        self._after("query")
        return {"Items": rows, **({"LastEvaluatedKey": rows[-1]} if len(keys) > Limit else {})}

    # ------------------------------------------------------------------------------------------------------ the inside
    def _write(
        self,
        operation: str,
        key: str,
        change: Callable[[Item | None], Item],
        text: str,
        names: dict[str, str],
        values: dict[str, Any],
    ) -> Item:
        old = self._live(key)
        if not condition(text, tuple(sorted(names.items())))(old or {}, values):
            found: dict[str, Any] = {"Item": old} if old else {}
            raise client_error(operation, "ConditionalCheckFailedException", 400, **found)
        new = change(old)
        if sum(len(value.get("S", "")) for value in new.values()) > MOST_BYTES:
            raise client_error(operation, "ValidationException")
        self.items[key] = new
        self._index(old or {}, new)
        self.writes.append((self._clock(), key, new))
        return new

    def _live(self, key: str) -> Item | None:
        """An item, unless its time to live is over."""
        item = self.items.get(key)
        if item and "expiresAt" in item and float(item["expiresAt"]["N"]) < self._clock():
            self._index(self.items.pop(key), {})
            return None
        return item

    def _index(self, old: Item, new: Item) -> None:
        then = self._clock() + self._index_lag
        for attribute, partitions in self._by.items():
            before, after = (
                (number_or_text(item.get(attribute)), number_or_text(item.get(SORTED_BY[attribute])))
                for item in (old, new)
            )
            if before == after:
                continue
            if all(after):
                self._ids[after[1]] = new["id"]
                partitions.setdefault(after[0], {}).setdefault(after[1], []).append((then, float("inf")))
            if all(before):
                times = partitions[before[0]].pop(before[1], [])
                now = self._clock()
                if kept := [(since, min(until, then)) for since, until in times if until > now]:
                    partitions[before[0]][before[1]] = kept

    def _before(self, operation: str) -> None:
        failure = self._step(operation)
        if failure == "throttled":
            raise client_error(operation, "ProvisionedThroughputExceededException")

    def _written(self, operation: str, write: Callable[[], Item], *, alone: bool = True) -> Item:
        """Write. Where the client sends the write again, the second answer is the one that it gets. A statement of a
        batch is not `alone`: it is only sent again with its batch."""
        answer = write()
        if self._after(operation) == "retried" and alone:
            answer = write()
        return answer

    def _after(self, operation: str) -> str:
        # The write is done and its answer is lost: the client knows as little as of one that never arrived.
        became = self._step(f"{operation} answered")
        if became == "lost":
            raise ReadTimeoutError(endpoint_url="https://dynamodb.simulated")
        return became
