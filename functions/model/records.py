"""Records, our frozen dataclasses, as JSON's types and back: names in camel case, times as text, None left out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar

Record = TypeVar("Record")
Reader = Callable[[Any], Any]
_AS_THEY_ARE = {str, int, bool, type(None)}


def iso(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds, always equally long: text that sorts as time does."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def milliseconds(moment: datetime) -> int:
    """Epoch milliseconds, as DynamoDB and a register keep a time."""
    return round(moment.timestamp() * 1000)


def camel(name: str) -> str:
    """A name in snake case as JSON spells it."""
    return re.sub("_(.)", lambda found: found[1].upper(), name)


@cache
def names(kind: Any) -> tuple[tuple[str, str], ...]:
    """The fields of a record's class, each with its name in JSON."""
    return tuple((each.name, camel(each.name)) for each in fields(kind))


def plain(value: Any) -> Any:
    """A record, or what one holds, as JSON's types."""
    kind: Any = type(value)  # looked at first, as this is called for every value that is written
    if kind in _AS_THEY_ARE:
        return value
    if kind is tuple:
        return [plain(each) for each in value]
    if kind is datetime:
        return iso(value)
    if isinstance(value, str):
        return str.__str__(value)  # of an enumeration, its text
    return parts(value, names(kind))


def parts(record: Any, fields: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Some fields of a record, by their names in JSON, as JSON's types; what is not known is left out."""
    found: dict[str, Any] = {}
    for field, name in fields:
        part = getattr(record, field)
        if part is not None:
            found[name] = part if type(part) in _AS_THEY_ARE else plain(part)
    return found


def reader(kind: type[Record], readers: Mapping[str, Reader]) -> Callable[[Mapping[str, Any]], Record]:
    """The inverse of `plain` for a class. `readers` make the values of fields, by their types as the class spells them.
    What is not a field is left out."""
    assert is_dataclass(kind)
    read = [(each.name, camel(each.name), readers.get(str(each.type).removesuffix(" | None"))) for each in fields(kind)]

    def record(values: Mapping[str, Any]) -> Record:
        known: dict[str, Any] = {}
        for field, name, of in read:
            value = values.get(name)
            if value is not None:
                known[field] = of(value) if of else value
        return kind(**known)

    return record
