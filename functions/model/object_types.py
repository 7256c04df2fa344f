"""What object type a name stands for, as far as that is the same in every account. Pure."""

from __future__ import annotations

import re

# HubSpot's own types by their ids: the name in HubSpot's paths, and its singular. The ids are from
# developers.hubspot.com/docs/guides/crm/using-object-apis and, but for the newest, the same in HubSpot's own SDK:
# github.com/HubSpot/hubspot-api-php, lib/Enums/ObjectTypeIDs.php. A type that is missing here costs a question to
# HubSpot, and a wrong name here would be taken for another type. So the list has no name that only a label suggests,
# such as `payments` and `goals`. A custom type of the same name is never meant: HubSpot takes those by `p_name`, by
# `p123_name` and by id only (developers.hubspot.com/changelog/breaking-change-removed-support-for-referencing-custom-
# object-types-by-base-name).
NAMES = {
    "0-1": ("contacts", "contact"),
    "0-2": ("companies", "company"),
    "0-3": ("deals", "deal"),
    "0-5": ("tickets", "ticket"),
    "0-7": ("products", "product"),
    "0-8": ("line_items", "line_item"),
    "0-14": ("quotes", "quote"),
    "0-18": ("communications", "communication"),
    "0-19": ("feedback_submissions", "feedback_submission"),
    "0-27": ("tasks", "task"),
    "0-46": ("notes", "note"),
    "0-47": ("meetings", "meeting"),
    "0-48": ("calls", "call"),
    "0-49": ("emails", "email"),
    "0-53": ("invoices", "invoice"),
    "0-54": ("marketing_events", "marketing_event"),
    "0-69": ("subscriptions", "subscription"),
    "0-74": ("goal_targets", "goal_target"),
    "0-84": ("discounts", "discount"),
    "0-85": ("fees", "fee"),
    "0-86": ("taxes", "tax"),
    "0-101": ("commerce_payments", "commerce_payment"),
    "0-115": ("users", "user"),
    "0-116": ("postal_mail", "postal_mail"),
    "0-123": ("orders", "order"),
    "0-136": ("leads", "lead"),
    "0-142": ("carts", "cart"),
    "0-162": ("services", "service"),
    "0-410": ("courses", "course"),
    "0-420": ("listings", "listing"),
    "0-421": ("appointments", "appointment"),
    "0-970": ("projects", "project"),
}
IDS = {name: type_id for type_id, names in NAMES.items() for name in names}
# Without leading zeros, so that one type has one id.
ID = re.compile(r"(?:0|[1-9][0-9]*)-[1-9][0-9]*")


def object_type_id(name: str) -> str | None:
    """The one id of the object type that a name or an id stands for. None where only HubSpot can tell: for the name of
    a custom type, and for a name that is not known."""
    return name if ID.fullmatch(name) else IDS.get(name.lower())


def spellings(type_id: str) -> tuple[str, ...]:
    """The usual ways to write a type, its id first. Of a type that is not HubSpot's own, the id alone."""
    names = NAMES.get(type_id, ())
    written = (form for name in names for form in (name, name.capitalize(), name.upper()))
    return tuple(dict.fromkeys((type_id, *written)))
