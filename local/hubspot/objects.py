"""Object types as an account knows them: HubSpot's own, which all accounts share, and the account's custom objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from infra.checks import Number
from local.hubspot.answers import invalid, not_found
from local.hubspot.catalogue import (
    COMPANY,
    CONTACT,
    DEAL,
    LINE_ITEM,
    PRODUCT,
    TICKET,
    Pair,
    custom_object_id,
    object_type_id,
)
from local.hubspot.settings import ControlRecord
from model.validation import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True)
class ObjectType:
    """An object type: its canonical id such as `0-3` or `2-456`, its names, and its labels."""

    type_id: str
    name: str
    fully_qualified_name: str
    singular: str
    plural: str

    def schema(self) -> dict[str, object]:
        """What HubSpot's schema of it says, as far as the stand-in knows."""
        return {
            "id": self.type_id,
            "objectTypeId": self.type_id,
            "name": self.name,
            "fullyQualifiedName": self.fully_qualified_name,
            "labels": {"singular": self.singular, "plural": self.plural},
        }


@dataclass(frozen=True, kw_only=True)
class CustomObject(ControlRecord):
    """A custom object of an account, `2-456` and `car` for example. What has no labels gets them from its name."""

    object_type_id: Annotated[str, custom_object_id]
    name: Annotated[str, Text(r"[A-Za-z][A-Za-z0-9_]{0,99}")]
    singular: Annotated[str, Text(least=1, most=100)] | None = None
    plural: Annotated[str, Text(least=1, most=100)] | None = None
    hub_id: Annotated[int, Number(1)] = 1

    @property
    def object_type(self) -> ObjectType:
        """The object type that it is."""
        singular = self.singular or self.name.capitalize()
        names = (self.name, f"p{self.hub_id}_{self.name}")
        return ObjectType(self.object_type_id, *names, singular, self.plural or f"{singular}s")


def _own(type_id: str, name: str, singular: str, plural: str) -> ObjectType:
    return ObjectType(type_id, name, name, singular, plural)


HUBSPOTS_OWN: Mapping[str, ObjectType] = {
    each.type_id: each
    for each in (
        _own(CONTACT, "CONTACT", "Contact", "Contacts"),
        _own(COMPANY, "COMPANY", "Company", "Companies"),
        _own(DEAL, "DEAL", "Deal", "Deals"),
        _own(TICKET, "TICKET", "Ticket", "Tickets"),
        _own(PRODUCT, "PRODUCT", "Product", "Products"),
        _own(LINE_ITEM, "LINE_ITEM", "Line item", "Line items"),
    )
}


class CustomObjects:
    """The custom objects of one account, no two of one id and no two of one name in any case."""

    def __init__(self) -> None:
        self._by_id: dict[str, ObjectType] = {}
        self._ids: dict[str, str] = {}  # by every name it has in a path, in lower case

    def __iter__(self) -> Iterator[ObjectType]:
        return iter(self._by_id.values())

    def add(self, new: CustomObject) -> ObjectType:
        """Add a custom object, or replace the one of its id. Raises ValueError if another has its name."""
        added = new.object_type
        names = _names_in_paths(added)
        if any(self._ids.get(name, added.type_id) != added.type_id for name in names):
            raise ValueError("another custom object already has this name")
        former = self._by_id.get(added.type_id)
        for name in _names_in_paths(former) if former else ():
            del self._ids[name]
        self._by_id[added.type_id] = added
        self._ids |= dict.fromkeys(names, added.type_id)
        return added

    def type_id(self, written: str) -> str | None:
        """The id of an object type as a path has it: a name or id of HubSpot's, `2-456`, `p_car`, `p1_car`.

        None if it is unknown to the account. An id such as `2-77` is accepted, known or not.
        """
        return object_type_id(written) or self._ids.get(written.lower())

    def pair(self, from_type: str | None, to_type: str | None) -> Pair | None:
        """The pair in a path, canonical; None where the path has none. Raises HubSpotError (400) on an unknown name."""
        if from_type is None or to_type is None:
            return None
        from_id, to_id = self.type_id(from_type), self.type_id(to_type)
        if from_id is None or to_id is None:
            raise invalid(f"There is no object type {to_type if from_id else from_type!r}.")
        return Pair(from_id, to_id)

    def find(self, written: str) -> ObjectType:
        """The object type in a path. Raises HubSpotError (404) if it is unknown, or nothing is known but its id."""
        type_id = self.type_id(written) or ""
        found = HUBSPOTS_OWN.get(type_id) or self._by_id.get(type_id)
        if found is None:
            raise not_found(f"There is no object type {written!r}.")
        return found


def _names_in_paths(of: ObjectType) -> tuple[str, str]:
    return f"p_{of.name}".lower(), of.fully_qualified_name.lower()
