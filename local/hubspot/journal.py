"""The journal: what was asked of the stand-in, what it answered and what it changed."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from local.hubspot.answers import timestamp
from local.hubspot.documents import parsed

if TYPE_CHECKING:
    from collections.abc import Sequence

# Bounds memory under load; the count of all calls goes on.
KEPT_ENTRIES = 10_000


@dataclass(slots=True)
class Entry:
    """One call. `status` is None until it is answered, and stays None when the connection is dropped.

    `refusal` is the category under which HubSpot honestly refused the call as a whole; None where it did not.
    """

    sequence: int
    moment: float
    operation: str
    method: str
    path: str
    from_object_type: str | None
    to_object_type: str | None
    token_name: str | None
    hub_id: int | None
    body: bytes
    correlation_id: str
    status: int | None = None
    dropped: bool = False
    refusal: str | None = None
    fault: dict[str, object] | None = None
    changed: Sequence[dict[str, object]] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        """The entry for the control interface; the token itself was never in it."""
        return {
            "sequence": self.sequence,
            "time": timestamp(self.moment),
            "operation": self.operation,
            "method": self.method,
            "path": self.path,
            "fromObjectType": self.from_object_type,
            "toObjectType": self.to_object_type,
            "tokenName": self.token_name,
            "hubId": self.hub_id,
            "body": _readable(self.body),
            "status": self.status,
            "dropped": self.dropped,
            "refusal": self.refusal,
            "fault": self.fault,
            "changed": list(self.changed),
            "correlationId": self.correlation_id,
        }


class Journal:
    """The newest `kept` calls (None: all), oldest first, numbered from 1."""

    def __init__(self, kept: int | None = KEPT_ENTRIES) -> None:
        self.total = 0
        self._entries: deque[Entry] = deque(maxlen=kept)

    def add(self, entry: Entry) -> None:
        """Add an entry, which may still be completed while it is in the journal."""
        self.total += 1
        self._entries.append(entry)

    def clear(self) -> None:
        """Forget all entries and count from 1 again."""
        self.total = 0
        self._entries.clear()

    def entries(self, operation: str | None = None) -> list[Entry]:
        """The kept entries, of one operation if given."""
        return [entry for entry in self._entries if operation in (None, entry.operation)]


def _readable(body: bytes) -> object:
    """A body as JSON where it is JSON, else as text; None when there was none."""
    try:
        return parsed(body) if body else None
    except ValueError:
        return body.decode(errors="replace")
