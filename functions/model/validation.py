"""The checks at the doors. Every bad field is reported, each with what to write instead.

A check returns the value or raises voluptuous.Invalid. Voluptuous walks the objects; the checks of single values are
ours, because voluptuous' own take `True` for a number and `"a\\n"` for a match of `^a$`. Their bounds are attributes,
which a test compares with docs/openapi.yaml.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from voluptuous import Coerce, Extra, Invalid, MultipleInvalid, Optional, Required, Schema

from model import json_text
from model.contract import DEFAULT_PORTAL, INT32_MAX, MAX_INPUTS, Category, ContractError, Envelope, LimitInput, Problem
from model.records import camel

Check = Callable[[Any], Any]
TRUE, FALSE = ("true", "t", "yes", "y", "on", "1"), ("false", "f", "no", "n", "off", "0")
NO_OBJECT = "expected a dictionary"  # voluptuous' words
UNKNOWN = "is not a field of this request; check its spelling"


@dataclass(frozen=True, slots=True)
class WholeNumber:
    """A whole number within bounds; neither true nor 5.0 is one. `note` explains the upper bound."""

    least: int
    most: int | None = None
    note: str = ""

    def __call__(self, value: Any) -> int:
        if type(value) is not int:
            raise Invalid("must be a whole number, not text or a fraction")
        if value < self.least:
            raise Invalid(f"must be at least {self.least}")
        if self.most is not None and value > self.most:
            raise Invalid(f"must be at most {self.most}{self.note}")
        return value


@dataclass(frozen=True, slots=True)
class Text:
    """Text of a length within bounds that matches a pattern as a whole. `must` explains the pattern."""

    pattern: str = ""
    least: int = 0
    most: int | None = None
    must: str = ""

    def __call__(self, value: Any) -> str:
        if not isinstance(value, str):
            raise Invalid("must be text")
        if self.pattern and not re.fullmatch(self.pattern, value):
            raise Invalid(self.must or f"must match {self.pattern}")
        if len(value) < self.least:
            raise Invalid(f"must have at least {self.least} characters" if self.least > 1 else "must not be empty")
        if self.most is not None and len(value) > self.most:
            raise Invalid(f"must have at most {self.most} characters, and has {len(value)}")
        return value


class OneOf(Coerce):
    """A member of an enumeration, given as its text."""

    def __init__(self, of: type[StrEnum]) -> None:
        super().__init__(of, f"must be one of {', '.join(of)}")
        self.of = of


@dataclass(frozen=True, slots=True)
class Each:
    """A list whose every value passes a check. Voluptuous (0.16.0) would stop at the first bad object in a list."""

    check: Check
    least: int = 0
    most: int | None = None
    what: str = "value"
    advice: str = ""

    def __call__(self, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, (list, tuple)):
            raise Invalid("must be a list")
        if len(value) < self.least:
            raise Invalid(f"must hold at least {self.least} {self.what}")
        if self.most is not None and len(value) > self.most:
            raise Invalid(f"must hold at most {self.most} {self.what}s{self.advice}")
        passed, wrong = [], MultipleInvalid()
        for place, each in enumerate(value):
            try:
                passed.append(self.check(each))
            except Invalid as error:
                error.prepend([place])
                wrong.errors += getattr(error, "errors", [error])
        if wrong.errors:
            raise wrong
        return tuple(passed)


@dataclass(frozen=True, slots=True)
class OrNone:
    """None, or a value that passes a check."""

    check: Check

    def __call__(self, value: Any) -> Any:
        return None if value is None else self.check(value)


def moment(value: Any) -> datetime:
    """A time with its offset from UTC, from text in ISO 8601."""
    try:
        parsed = datetime.fromisoformat(value.upper())
        parsed.utctimetuple()  # OverflowError where it is before the year 1 or after 9999 in UTC
    except (AttributeError, ValueError):
        parsed = None
    except OverflowError:
        raise Invalid("must be within the years 1 to 9999 in UTC") from None
    if parsed is None or parsed.tzinfo is None:
        raise Invalid("must be a time in ISO 8601 with its offset from UTC")
    return parsed


def flag(value: Any) -> bool:
    """True or false, also as text that a query or a person may have for them."""
    word = str(value).lower() if isinstance(value, (bool, str)) else ""
    if word not in TRUE + FALSE:
        raise Invalid("must be true or false")
    return word in TRUE


def line(least: int, most: int) -> Text:
    """One line of text. It goes to logs and terminals, so it holds nothing that moves a cursor."""
    return Text(r"^[^\x00-\x1f\x7f-\x9f]*$", least, most, "must be text without control characters")


def required(name: str) -> Required:
    """A key that must be given."""
    return Required(name, msg="is required")


def strict(fields: Mapping[Any, Check], unknown: str = UNKNOWN) -> Schema:
    """An object with these fields and no others, so that a misspelt field is never ignored."""

    def refuse(value: Any) -> Any:
        raise Invalid(unknown)

    return Schema({**fields, Extra: refuse})


# Names (`deals`, `p123_car`) and ids (`0-1`, `2-123`). Nothing that could change the path of the URL it is put in.
object_type = Text(r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$")
portal_name = Text(r"^[a-z0-9][a-z0-9-]{0,62}$")
int32 = WholeNumber(1, INT32_MAX, ", the largest int32")
limit_input = strict(
    {required("category"): OneOf(Category), required("typeId"): int32, required("maxToObjectIds"): int32}
)
inputs = Each(limit_input, 1, MAX_INPUTS, "input", "; split the request")
envelope = strict(
    {
        Optional("portal", default=DEFAULT_PORTAL): portal_name,
        required("fromObjectType"): object_type,
        required("toObjectType"): object_type,
        required("inputs"): inputs,
        Optional("idempotencyKey", default=None): OrNone(line(1, 255)),
        Optional("requestedBy", default=None): OrNone(line(0, 256)),
    }
)


def check(schema: Schema, value: object) -> Any:
    """The value as the schema returns it. Raises ContractError with every bad field, in their order. Its messages never
    show a value, which may be a secret."""
    try:
        return schema(value)
    except MultipleInvalid as error:
        found = sorted(error.errors, key=lambda each: [_sortable(part) for part in each.path])
    raise ContractError(
        [Problem(_field(each.path), each.msg.replace(NO_OBJECT, "must be an object")) for each in found]
    )


def parse_json(text: str | bytes) -> object:
    """The value of a JSON text. Raises ContractError where it is none, and where an object has a key twice: readers
    would understand it differently."""
    try:
        return json_text.loads(text, _each_key_once)
    except ValueError as error:
        raise ContractError([Problem("", f"the body is not valid JSON: {error}")]) from error


def parse_envelope(value: object) -> Envelope:
    """An envelope, from parsed JSON. Raises ContractError."""
    if not isinstance(value, dict):
        raise ContractError([Problem("", "must be a JSON object with fromObjectType, toObjectType and inputs")])
    return _envelope(value)


def parse_batch(body: object, **path: str | None) -> Envelope:
    """An envelope from the parsed body of HubSpot's own route and the fields its path names. Raises ContractError."""
    if not isinstance(body, dict):
        raise ContractError([Problem("", "the body must be a JSON object with inputs")])
    inputs_alone = {name: part for name, part in body.items() if name == "inputs"}
    unknown = [Problem(str(name), UNKNOWN) for name in body if name != "inputs"]
    return _envelope({camel(name): part for name, part in path.items()} | inputs_alone, unknown)


def _envelope(value: Mapping[str, Any], unknown: Collection[Problem] = ()) -> Envelope:
    try:
        known = check(envelope, value)
    except ContractError as error:
        raise ContractError([*unknown, *error.problems]) from None
    asked = tuple(LimitInput(each["category"], each["typeId"], each["maxToObjectIds"]) for each in known["inputs"])
    problems = [*unknown, *_contradictions(asked)]
    if problems:
        raise ContractError(problems)
    return Envelope(
        known["portal"],
        known["fromObjectType"],
        known["toObjectType"],
        asked,
        known["idempotencyKey"],
        known["requestedBy"],
    )


def _contradictions(asked: tuple[LimitInput, ...]) -> Iterator[Problem]:
    numbers: dict[tuple[str, int], int] = {}
    for item in asked:
        first = numbers.setdefault(item.key, item.max_to_object_ids)
        if first != item.max_to_object_ids:
            which = f"{item.category} type {item.type_id}"
            yield Problem("", f"inputs ask for both {first} and {item.max_to_object_ids} for {which}; keep one of them")


def _each_key_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value: dict[str, object] = {}
    for key, part in pairs:
        if key in value:
            raise ValueError(f"a key is given twice: {key[:100]!r}")
        value[key] = part
    return value


def _sortable(part: object) -> str:
    return f"{part:09}" if isinstance(part, int) else str(part)


def _field(path: list[Any]) -> str:
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return field.removeprefix(".")
