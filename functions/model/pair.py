"""Where a limit belongs: an API version and two object types."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pair:
    """Where a call goes: the API version and the two object types."""

    api_version: str
    from_object_type: str
    to_object_type: str

    @property
    def path(self) -> str:
        """Below the base URL."""
        kind = f"/crm/associations/{self.api_version}/definitions/configurations"
        return f"{kind}/{self.from_object_type}/{self.to_object_type}"
