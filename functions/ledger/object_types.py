"""What HubSpot has said of object types, for all functions of a deployment, as items of the outcomes table."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

from aws.dynamodb import ConditionFailed, Table

PREFIX = "type#"  # the id of an outcome has no '#', so an object type is never read as one
KEPT = timedelta(days=1)  # a custom type can be deleted, and another be given its name


class TypeMemory:
    """The id of each portal's object types by each name, as spelt. Every method raises LedgerUnavailable."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def recall(self, portal: str, name: str, now: datetime) -> str | None:
        """The id that HubSpot gave for a name within a day. None where it was not asked."""
        item = self._table.get(_key(portal, name))
        if item is None or item["expiresAt"] <= now.timestamp():  # DynamoDB may take two days to delete it
            return None
        type_id: str = item["objectTypeId"]
        return type_id

    def remember(self, portal: str, name: str, type_id: str, now: datetime) -> None:
        """Keep the id that HubSpot gave for a name just now."""
        with suppress(ConditionFailed):  # another function has asked later
            self._table.update(
                _key(portal, name),
                {"objectTypeId": type_id, "expiresAt": int((now + KEPT).timestamp())},
                condition="attribute_not_exists(id) OR #expiresAt <= :expiresAt",
                condition_values={},
            )


def _key(portal: str, name: str) -> str:
    return f"{PREFIX}{portal}#{name}"
