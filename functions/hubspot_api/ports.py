"""What asking for object types needs: Protocols only. `production.py` has the real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime


class TypeMemoryPort(Protocol):
    """What HubSpot has said of object types, as `ledger.object_types.TypeMemory` keeps it."""

    def recall(self, portal: str, name: str, now: datetime) -> str | None: ...
    def remember(self, portal: str, name: str, type_id: str, now: datetime) -> None: ...


class TypeCallPort(Protocol):
    """The question for an object type, as `batch_create.authorised_call.AuthorisedCalls` asks it."""

    def object_type(self, portal: str, name: str) -> str: ...
