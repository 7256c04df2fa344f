"""Where a limit belongs: two object types by their ids, and by which address HubSpot is asked about them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pair:
    """The two object types of a limit, by their ids: however they are spelt, and whatever the API version."""

    from_type: str
    to_type: str

    def __str__(self) -> str:
        return f"{self.from_type}#{self.to_type}"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a call goes: the API version and the two object types, as the caller spells them."""

    api_version: str
    from_object_type: str
    to_object_type: str

    @property
    def path(self) -> str:
        """Below the base URL."""
        kind = f"/crm/associations/{self.api_version}/definitions/configurations"
        return f"{kind}/{self.from_object_type}/{self.to_object_type}"
