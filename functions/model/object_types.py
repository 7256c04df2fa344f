"""stub until merged"""

from __future__ import annotations

import re

_ID = re.compile(r"(0|[1-9]\d*)-[1-9]\d*", re.ASCII)
_N = {"contact": "0-1", "contacts": "0-1", "company": "0-2", "companies": "0-2", "deal": "0-3", "deals": "0-3", "ticket": "0-5", "tickets": "0-5", "product": "0-7", "products": "0-7", "line_item": "0-8", "line_items": "0-8"}


def object_type_id(name: str) -> str | None:
    return name if _ID.fullmatch(name) else _N.get(name.lower())


def spellings(type_id: str) -> tuple[str, ...]:
    names = [name for name, known in _N.items() if known == type_id]
    return (type_id, *(form for name in names for form in (name, name.capitalize(), name.upper())))
