"""Records out of JSON, for whatever is written by hand: settings, schedule files, orders to HubSpot's stand-in.

A record is a frozen dataclass. A field is checked by what it is annotated with, `Annotated[int, Number(1, 5)]`, or else
as its type says; it is named in camel case, or as `json_name` says.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import MISSING, dataclass, fields, is_dataclass
from difflib import get_close_matches
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from voluptuous import PREVENT_EXTRA, REMOVE_EXTRA, Invalid, Optional, Schema

from model.records import camel
from model.validation import Check, Each, OrNone, Text, required

Record = TypeVar("Record")


class Misnamed(Invalid):
    """A key that there is not."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number within bounds, a whole one unless `fraction`. JSON's strictness: neither true nor "5" is one."""

    least: float = float("-inf")
    most: float = float("inf")
    above: float = float("-inf")
    fraction: bool = False

    def __call__(self, value: Any) -> Any:
        if type(value) is not int and not (self.fraction and type(value) is float):
            raise Invalid(f"must be a {'' if self.fraction else 'whole '}number, without quotes")
        if not value >= self.least:
            raise Invalid(f"must be at least {self.least}")
        if not value > self.above:
            raise Invalid(f"must be more than {self.above}")
        if not value <= self.most:
            raise Invalid(f"must be at most {self.most}")
        return value


@dataclass(frozen=True, slots=True)
class Choice:
    """One of these values."""

    of: tuple[Any, ...]

    def __call__(self, value: Any) -> Any:
        if not any(type(value) is type(each) and value == each for each in self.of):
            *others, last = map(repr, self.of)
            raise Invalid(f"must be {', '.join(others)} or {last}" if others else f"must be {last}")
        return value


def switch(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise Invalid("must be true or false, without quotes")
    return value


def an_object(value: Any) -> dict[str, Any]:
    """An object with whatever is in it."""
    if not isinstance(value, dict):
        raise Invalid("must be an object")
    return value


def json_name(name: str) -> dict[str, str]:
    """A field's metadata, where its name is not in camel case."""
    return {"json": name}


def names(kind: Any) -> dict[str, str]:
    """The fields of a record's class by their names in JSON."""
    return {each.metadata.get("json", camel(each.name)): each.name for each in fields(kind)}


def record(kind: type[Record], what: str | None) -> Callable[[Any], Record]:
    """Makes a record out of an object. It raises Invalid with every bad field, and `what` says what its keys are; with
    None other keys are left out."""
    of: Any = kind
    hints = get_type_hints(kind, include_extras=True)
    optional = {each.name for each in fields(of) if (each.default, each.default_factory) != (MISSING, MISSING)}
    known = names(of)
    checks: dict[Any, Any] = {
        (Optional if field in optional else required)(name): _check(hints[field], what) for name, field in known.items()
    }
    if what is not None:
        checks[_misnamed(known, what)] = object
    schema = Schema(checks, extra=REMOVE_EXTRA if what is None else PREVENT_EXTRA)

    def read(value: Any) -> Record:
        return kind(**{known[name]: part for name, part in schema(an_object(value)).items()})

    return read


def _check(hint: Any, what: str | None) -> Check:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        own: Check = inner[1]
        return own
    if origin is Literal:
        return Choice(inner)
    if origin is tuple:
        return Each(_check(inner[0], what))
    if type(None) in inner:
        (of,) = (each for each in inner if each is not type(None))
        return OrNone(_check(of, what))
    if isinstance(hint, type) and is_dataclass(hint):
        return record(hint, what)
    of_type: dict[Any, Check] = {bool: switch, str: Text()}
    return of_type[hint]


def _misnamed(known: Collection[str], what: str) -> Check:
    def refuse(name: Any) -> Any:
        close = get_close_matches(str(name), known, n=1)
        advice = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
        raise Misnamed(f"is not {what}; {advice}")

    return refuse
