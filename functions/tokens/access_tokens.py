"""The access tokens that refreshes brought, in a table of their own: each in one item with the lock of its refresh."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from aws.dynamodb import ConditionFailed, Item, Table
from model.access_token import AccessToken
from model.errors import LedgerUnavailable
from model.records import iso
from runtime.redaction import remember
from runtime.telemetry import logger

KEPT = timedelta(days=1)  # after its last use, until DynamoDB deletes an item by its attribute expiresAt


class AccessTokens:
    """Access tokens by the name of the secret of their app, as this worker last saw them. Raises LedgerUnavailable.

    The lock of a refresh keeps others from doing the same at the same time, and no more: a late holder does not know
    that its time is over, so what it writes must be safe without the lock.
    """

    def __init__(self, table: Table, clock: Callable[[], datetime]) -> None:
        self._table = table
        self._clock = clock
        self._known: dict[str, tuple[AccessToken | None, datetime]] = {}

    def current(self, name: str, memory: timedelta) -> AccessToken | None:
        """The last token, as it was less than `memory` ago. With a table that does not answer, as it was known."""
        now = self._clock()
        token, asked_at = self._known.get(name, (None, None))
        if asked_at and now - asked_at < memory:
            return token
        try:
            return self._see(name, self._table.get(name) or {}, now)
        except LedgerUnavailable as error:
            logger.warning("access token not read", secret=name, error=str(error))
            self._known[name] = token, now
            return token

    def lock(self, name: str, holder: str, until: datetime) -> bool:
        """Take the lock until then, and see the last token. False if another has it; one's own is taken again, as
        botocore may ask twice."""
        now = self._clock()
        try:
            item = self._table.update(
                name,
                {"holder": holder, "leaseUntil": iso(until), "expiresAt": _expiry(now)},
                condition="attribute_not_exists(holder) OR #leaseUntil < :now OR #holder = :holder",
                condition_values={":now": iso(now)},
                answer=True,
            )
        except ConditionFailed as failed:
            self._see(name, failed.item, now)
            return False
        self._see(name, item, now)
        return True

    def unlock(self, name: str, holder: str) -> None:
        """Give the lock back, unless its time was over and another has it."""
        with suppress(ConditionFailed):  # it is another's by now
            self._change(name, holder, {}, remove=["holder"])

    def keep(self, name: str, holder: str, token: AccessToken) -> None:
        """Keep a token for all workers, unless the lock's time was over and another has it; for this one anyhow."""
        self._known[name] = token, self._clock()
        remember([token.text])
        values = {"token": token.text, "endsAt": iso(token.ends_at), "life": token.life, "grants": list(token.grants)}
        with suppress(ConditionFailed):
            self._change(name, holder, values)

    def _change(self, name: str, holder: str, values: Item, remove: Sequence[str] = ()) -> None:
        self._table.update(
            name,
            {**values, "expiresAt": _expiry(self._clock())},
            remove=remove,
            condition="holder = :holder",
            condition_values={":holder": holder},
        )

    def _see(self, name: str, item: Item, asked_at: datetime) -> AccessToken | None:
        token = None
        if "token" in item:
            ends_at = datetime.fromisoformat(item["endsAt"])
            token = AccessToken(item["token"], ends_at, item["life"], tuple(item["grants"]))
            remember([token.text])
        self._known[name] = token, asked_at
        return token


def _expiry(now: datetime) -> int:
    return int((now + KEPT).timestamp())
