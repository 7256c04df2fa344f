"""Object types and association types a fresh portal of the stand-in knows.

HUBSPOT_DEFINED ids are HubSpot's documented ones. The other categories differ from portal to portal, so the
labels here are examples; one of them deliberately carries the number of a HUBSPOT_DEFINED type, because ids
are unique only within (from, to, category).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from voluptuous import Invalid

if TYPE_CHECKING:
    from collections.abc import Mapping

Category = Literal["HUBSPOT_DEFINED", "USER_DEFINED", "INTEGRATOR_DEFINED", "WORK"]


class Pair(NamedTuple):
    """From and to object type, as canonical ids such as `0-3`."""

    from_type: str
    to_type: str


class TypeKey(NamedTuple):
    """An association type within one pair."""

    category: str
    type_id: int


CONTACT, COMPANY, DEAL, TICKET, PRODUCT, LINE_ITEM = "0-1", "0-2", "0-3", "0-5", "0-7", "0-8"

_IDS_BY_NAME = {
    "contact": CONTACT,
    "contacts": CONTACT,
    "company": COMPANY,
    "companies": COMPANY,
    "deal": DEAL,
    "deals": DEAL,
    "ticket": TICKET,
    "tickets": TICKET,
    "product": PRODUCT,
    "products": PRODUCT,
    "line_item": LINE_ITEM,
    "line_items": LINE_ITEM,
}
_STANDARD_IDS = frozenset(_IDS_BY_NAME.values())
_CUSTOM_ID = re.compile(r"2-[1-9][0-9]{0,18}", re.ASCII)
# A custom object in a path: `p_car` in the account itself, `p123_car` with the account's id.
_CUSTOM_NAME = re.compile(r"p([1-9][0-9]{0,18})?_[a-z][a-z0-9_]*", re.ASCII | re.IGNORECASE)


def object_type_id(written: str) -> str | None:
    """The id of an object type written as a name (any case, singular or plural) or an id; None if unknown.

    Names of custom objects differ from account to account, and are known to CustomObjects only.
    """
    if written in _STANDARD_IDS or _CUSTOM_ID.fullmatch(written):
        return written
    return _IDS_BY_NAME.get(written.lower())


def written_object_type(written: Any) -> str:
    """An object type in JSON: its id, or a name such as `p_car` where only an account can tell the id.

    Raises Invalid where it is neither.
    """
    if not isinstance(written, str):
        raise Invalid(f"unknown object type {written!r}")
    found = object_type_id(written)
    if found is None and not _CUSTOM_NAME.fullmatch(written):
        raise Invalid(f"unknown object type {written!r}")
    return found or written.lower()


def custom_object_id(written: Any) -> str:
    """The id of a custom object in JSON. Raises Invalid where it is none."""
    if not isinstance(written, str) or not _CUSTOM_ID.fullmatch(written):
        raise Invalid("must be the id of a custom object, such as 2-456")
    return written


def _hubspot(*types: tuple[int, str | None]) -> dict[TypeKey, str | None]:
    return {TypeKey("HUBSPOT_DEFINED", type_id): label for type_id, label in types}


def _user(*types: tuple[int, str]) -> dict[TypeKey, str | None]:
    return {TypeKey("USER_DEFINED", type_id): label for type_id, label in types}


def _integrator(type_id: int, label: str) -> dict[TypeKey, str | None]:
    return {TypeKey("INTEGRATOR_DEFINED", type_id): label}


# A label of None marks the unlabelled type, whose limit is the object limit of the pair.
SEEDED_TYPES: Mapping[Pair, Mapping[TypeKey, str | None]] = {
    Pair(DEAL, CONTACT): {
        **_hubspot((3, None)),
        **_user((3, "Billing contact"), (35, "Decision maker")),
        **_integrator(21, "Signer"),
    },
    Pair(CONTACT, DEAL): {
        **_hubspot((4, None)),
        **_user((36, "Decision maker")),
        **_integrator(22, "Signer"),
    },
    Pair(CONTACT, COMPANY): {**_hubspot((279, None), (1, "Primary")), **_user((31, "Consultant"))},
    Pair(COMPANY, CONTACT): {**_hubspot((280, None), (2, "Primary")), **_user((32, "Consultant"))},
    Pair(DEAL, COMPANY): {**_hubspot((341, None), (5, "Primary")), **_user((41, "Reseller"))},
    Pair(COMPANY, DEAL): {**_hubspot((342, None), (6, "Primary")), **_user((42, "Reseller"))},
    Pair(CONTACT, TICKET): {**_hubspot((15, None)), **_user((51, "Reporter"))},
    Pair(TICKET, CONTACT): {**_hubspot((16, None)), **_user((52, "Reporter"))},
    Pair(COMPANY, TICKET): _hubspot((340, None)),
    Pair(TICKET, COMPANY): _hubspot((339, None)),
    Pair(DEAL, TICKET): _hubspot((27, None)),
    Pair(TICKET, DEAL): _hubspot((28, None)),
    Pair(CONTACT, CONTACT): {
        **_hubspot((449, None)),
        **_user((61, "Colleague"), (62, "Manager"), (63, "Report")),
    },
    Pair(COMPANY, COMPANY): _hubspot((450, None), (13, "Child company"), (14, "Parent company")),
}
