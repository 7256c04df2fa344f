"""The checks at the doors: every bad field is reported, each with what to write instead.

Voluptuous walks the objects and gathers what is wrong; the checks of single values are here, as their bounds are also
compared with docs/openapi.yaml. A check returns the value or raises voluptuous.Invalid.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from voluptuous import Extra, Invalid, MultipleInvalid, Optional, Required, Schema

from model import json_text
from model.contract import DEFAULT_PORTAL, INT32_MAX, MAX_INPUTS, Category, ContractError, Envelope, LimitInput, Problem
from model.records import camel

Check = Callable[[Any], Any]
_UNKNOWN = "is not a field of this request; check its spelling"
_LIMIT = ("category", "typeId", "maxToObjectIds")


@dataclass(frozen=True, slots=True)
class WholeNumber:
    """A whole number within bounds; neither true nor 5.0 is one. `note` says what the upper bound is."""

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
    """Text that matches a pattern as a whole and has so many characters. `must` says it where a pattern would not."""

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


@dataclass(frozen=True, slots=True)
class OneOf:
    """A member of an enumeration, by its text."""

    of: type[StrEnum]

    def __call__(self, value: Any) -> StrEnum:
        try:
            return self.of(value)
        except ValueError:
            raise Invalid(f"must be one of {', '.join(self.of)}") from None


@dataclass(frozen=True, slots=True)
class Each:
    """A list of so many values, each of which passes a check: voluptuous stops at the first object in a list that does
    not (0.16.0), and whoever corrects a request wants to know of all of them."""

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
        passed, wrong = [], []
        for place, each in enumerate(value):
            try:
                passed.append(self.check(each))
            except Invalid as error:
                error.prepend([place])
                wrong += error.errors if isinstance(error, MultipleInvalid) else [error]
        if wrong:
            raise MultipleInvalid(wrong)
        return tuple(passed)


@dataclass(frozen=True, slots=True)
class OrNone:
    """A value that passes a check, or none."""

    check: Check

    def __call__(self, value: Any) -> Any:
        return None if value is None else self.check(value)


def moment(value: Any) -> datetime:
    """A time with its offset from UTC, of a text in ISO 8601."""
    try:
        parsed = datetime.fromisoformat(value.upper())
        parsed.utctimetuple()  # OverflowError where it is before the year 1 or after 9999 in UTC
    except (AttributeError, ValueError):
        raise Invalid("must be a time in ISO 8601 with its offset from UTC") from None
    except OverflowError:
        raise Invalid("must be within the years 1 to 9999 in UTC") from None
    if parsed.tzinfo is None:
        raise Invalid("must be a time in ISO 8601 with its offset from UTC")
    return parsed


def flag(value: Any) -> bool:
    """True or false, also as the texts that a query or a person may have for them."""
    word = str(value).lower() if isinstance(value, (bool, str)) else ""
    if word not in (*_TRUE, *_FALSE):
        raise Invalid("must be true or false")
    return word in _TRUE


def required(name: str) -> Required:
    """A key that must be there."""
    return Required(name, msg="is required")


def strict(fields: Mapping[Any, Check], unknown: str = _UNKNOWN) -> Schema:
    """An object with these fields and no other, so that a misspelt one is never dropped."""

    def refuse(value: Any) -> Any:
        raise Invalid(unknown)

    return Schema({**fields, Extra: refuse})


_TRUE = ("true", "t", "yes", "y", "on", "1")
_FALSE = ("false", "f", "no", "n", "off", "0")
# Names (`deals`, `p123_car`) and ids (`0-1`, `2-123`). Nothing that could change the path of the URL it is put in.
object_type = Text(r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$")
portal_name = Text(r"^[a-z0-9][a-z0-9-]{0,62}$")
# Free text that goes to logs and to whoever reads an outcome: nothing in it that moves a terminal's cursor.
_LINE = r"^[^\x00-\x1f\x7f-\x9f]*$"
_NO_CONTROLS = "must be text without control characters"
int32 = WholeNumber(1, INT32_MAX, ", the largest int32")


def line(least: int, most: int) -> Text:
    """One line of text, of so many characters."""
    return Text(_LINE, least, most, _NO_CONTROLS)


limit_input = strict(dict(zip(map(required, _LIMIT), (OneOf(Category), int32, int32), strict=True)))
inputs = Each(limit_input, 1, MAX_INPUTS, "input", "; split the request")
envelope = strict(
    {
        Optional("portal"): portal_name,
        required("fromObjectType"): object_type,
        required("toObjectType"): object_type,
        required("inputs"): inputs,
        Optional("idempotencyKey"): OrNone(line(1, 255)),
        Optional("requestedBy"): OrNone(line(0, 256)),
    }
)


def check(schema: Schema, value: object) -> Any:
    """What a schema makes of a value. Raises ContractError with every bad field, in their order; never shows a value,
    which may be a secret."""
    try:
        return schema(value)
    except MultipleInvalid as error:
        found = sorted(error.errors, key=lambda each: [_sortable(part) for part in each.path])
    raise ContractError([Problem(_field(each.path), _message(each)) for each in found])


def parse_json(text: str | bytes) -> object:
    """The value of a JSON text. Raises ContractError where it is none, and where an object names a key twice, which
    readers understand differently."""
    try:
        return json_text.loads(text, _each_key_once)
    except ContractError:
        raise
    except ValueError as error:
        raise ContractError([Problem("", f"the body is not valid JSON: {error}")]) from error


def parse_envelope(value: object, portals: Collection[str]) -> Envelope:
    """An envelope for one of `portals`, from parsed JSON. Raises ContractError."""
    if not isinstance(value, dict):
        raise ContractError([Problem("", "must be a JSON object with fromObjectType, toObjectType and inputs")])
    return _envelope(value, portals, [])


def parse_batch(body: object, portals: Collection[str], **path: str | None) -> Envelope:
    """An envelope from the parsed body of HubSpot's own route and the fields its path names. Raises ContractError."""
    if not isinstance(body, dict):
        raise ContractError([Problem("", "the body must be a JSON object with inputs")])
    strays = [Problem(str(name), _UNKNOWN) for name in body if name != "inputs"]
    return _envelope(
        {
            **{camel(name): given for name, given in path.items()},
            **{name: body[name] for name in body if name == "inputs"},
        },
        portals,
        strays,
    )


def _envelope(value: Mapping[str, Any], portals: Collection[str], problems: list[Problem]) -> Envelope:
    try:
        known = {"portal": DEFAULT_PORTAL, **check(envelope, value)}
    except ContractError as error:
        raise ContractError(problems + error.problems) from None
    asked = tuple(LimitInput(*(each[name] for name in _LIMIT)) for each in known["inputs"])
    problems = [*problems, *_contradictions(asked)]
    if known["portal"] not in portals:
        told = ", ".join(sorted(portals))
        problems.append(Problem("portal", f"is not a portal of this deployment; it has: {told}"))
    if problems:
        raise ContractError(problems)
    rest = (known.get(name) for name in ("idempotencyKey", "requestedBy"))
    return Envelope(known["portal"], known["fromObjectType"], known["toObjectType"], asked, *rest)


def _contradictions(asked: tuple[LimitInput, ...]) -> list[Problem]:
    numbers: dict[tuple[str, int], int] = {}
    return [
        Problem(
            "",
            f"inputs ask for both {numbers[item.key]} and {item.max_to_object_ids} for {item.category} type"
            f" {item.type_id}; keep one of them",
        )
        for item in asked
        if numbers.setdefault(item.key, item.max_to_object_ids) != item.max_to_object_ids
    ]


def _each_key_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(value := dict(pairs)) == len(pairs):
        return value
    seen: set[str] = set()
    twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    raise ContractError([Problem("", f"the body is not valid JSON: a key is given twice: {twice[:100]!r}")])


def _sortable(part: object) -> str:
    return f"{part:09}" if isinstance(part, int) else str(part)


def _field(path: list[Any]) -> str:
    field = ""
    for part in path:
        field += f"[{part}]" if isinstance(part, int) else f".{part}" if field else str(part)
    return field


def _message(error: Invalid) -> str:
    return "must be an object" if type(error).__name__ == "DictInvalid" else str(error.msg)
