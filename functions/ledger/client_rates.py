"""How often each client has asked, counted by all functions of a deployment together in the outcomes table."""

from __future__ import annotations

from datetime import datetime, timedelta

from aws.dynamodb import ConditionFailed, Table

PREFIX = "rate#"  # the id of an outcome has no '#', so a count is never read as one
KEPT = timedelta(hours=1)  # until DynamoDB deletes the item by its attribute expiresAt


class ClientRates:
    """Requests in each minute of the clock. Around the end of a minute two minutes' worth may come within seconds."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def admit(self, client: str, most: int, now: datetime) -> bool:
        """Count a request of a client, unless it has had so many in this minute. Raises LedgerUnavailable."""
        try:
            self._table.update(
                f"{PREFIX}{client}#{now:%Y-%m-%dT%H:%M}",
                {"expiresAt": int((now + KEPT).timestamp())},
                count="taken",
                condition="attribute_not_exists(id) OR #taken < :most",
                condition_values={":most": most},
            )
        except ConditionFailed:
            return False
        return True
