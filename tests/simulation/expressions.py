"""DynamoDB's condition and update expressions, as far as the ledger uses them, compiled to functions.

Values are DynamoDB's typed ones (`{"S": "x"}`). tests/simulation/test_dynamo.py holds it against moto.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

Item = dict[str, Any]
Values = Mapping[str, Any]
Condition = Callable[[Item, Values], bool]
Update = Callable[[Item, Values], Item]

TOKEN = re.compile(r"\s*(<=|>=|<>|[=<>(),+]|[:#]?\w+)")


class Unsupported(Exception):
    """An expression that the ledger did not use when this was written: teach it here."""


def tokens(text: str) -> list[str]:
    found, at = [], 0
    text = text.strip()
    while at < len(text):
        match = TOKEN.match(text, at)
        if not match:
            raise Unsupported(text)
        found.append(match[1])
        at = match.end()
    return found


def number_or_text(value: Any) -> Any:
    """A typed value as one that compares as DynamoDB compares; None where there is none."""
    if value is None:
        return None
    ((kind, plain),) = value.items()
    return float(plain) if kind == "N" else plain


@cache
def condition(text: str, names: tuple[tuple[str, str], ...]) -> Condition:
    """A condition expression with its names resolved."""
    parser = _Parser(tokens(text), dict(names))
    compiled = parser.disjunction()
    if parser.left:
        raise Unsupported(text)
    return compiled


class _Parser:
    def __init__(self, left: list[str], names: dict[str, str]) -> None:
        self.left = left
        self._names = names

    def disjunction(self) -> Condition:
        parts = [self._conjunction()]
        while self._take("OR"):
            parts.append(self._conjunction())
        return parts[0] if len(parts) == 1 else lambda item, values: any(part(item, values) for part in parts)

    def _conjunction(self) -> Condition:
        parts = [self._term()]
        while self._take("AND"):
            parts.append(self._term())
        return parts[0] if len(parts) == 1 else lambda item, values: all(part(item, values) for part in parts)

    def _term(self) -> Condition:
        if self._take("("):
            inside = self.disjunction()
            self._expect(")")
            return inside
        if self.left[0] in {"attribute_exists", "attribute_not_exists"}:
            wanted = self.left.pop(0) == "attribute_exists"
            self._expect("(")
            name = self._name(self.left.pop(0))
            self._expect(")")
            return lambda item, values: (name in item) is wanted
        return self._comparison()

    def _comparison(self) -> Condition:
        left = self._operand(self.left.pop(0))
        operator = self.left.pop(0)
        if operator == "BETWEEN":
            low = self._operand(self.left.pop(0))
            self._expect("AND")
            high = self._operand(self.left.pop(0))
            return lambda item, values: low(item, values) <= left(item, values) <= high(item, values)
        compare = COMPARISONS.get(operator)
        if not compare:
            raise Unsupported(operator)
        right = self._operand(self.left.pop(0))

        def holds(item: Item, values: Values) -> bool:
            one, other = left(item, values), right(item, values)
            # A comparison with an attribute that is not there is never true.
            return one is not None and other is not None and compare(one, other)

        return holds

    def _operand(self, token: str) -> Callable[[Item, Values], Any]:
        if token.startswith(":"):
            return lambda item, values: number_or_text(values[token])
        name = self._name(token)
        return lambda item, values: number_or_text(item.get(name))

    def _name(self, token: str) -> str:
        return self._names[token] if token.startswith("#") else token

    def _take(self, token: str) -> bool:
        if self.left and self.left[0] == token:
            self.left.pop(0)
            return True
        return False

    def _expect(self, token: str) -> None:
        if not self._take(token):
            raise Unsupported(" ".join([token, "expected at", *self.left]))


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda one, other: one == other,
    "<>": lambda one, other: one != other,
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
}

ASSIGNMENT = re.compile(
    r"#(\w+) = (?:list_append\(if_not_exists\(#\w+, (?P<none>:\w+)\), (?P<more>:\w+)\)"
    r"|if_not_exists\(#(?P<same>\w+), (?P<first>:\w+)\)(?: \+ (?P<plus>:\w+))?|(?P<value>:\w+))"
)


@cache
def update(text: str, names: tuple[tuple[str, str], ...]) -> Update:
    """An update expression of the forms that Table.update writes: SET with values, first values, a count and what is
    appended to a list; REMOVE."""
    known = dict(names)
    setting, _, removing = text.removeprefix("SET ").partition(" REMOVE ")
    assignments: list[tuple[str, str, str, str, str]] = []
    at = 0
    while at < len(setting):
        match = ASSIGNMENT.match(setting, at)
        if not match:
            raise Unsupported(setting[at:])
        first, plus, value, more = (match[name] or "" for name in ("first", "plus", "value", "more"))
        assignments.append((known[f"#{match[1]}"], first, plus, value, more))
        at = match.end() + len(", ")
    removed = [known[name] for name in removing.split(", ")] if removing else []

    def apply(item: Item, values: Values) -> Item:
        after = dict(item)
        for name, first, plus, value, more in assignments:
            if more:
                after[name] = {"L": [*item.get(name, {"L": []})["L"], *values[more]["L"]]}
            elif value:
                after[name] = values[value]
            elif plus:
                before = item[name] if name in item else values[first]
                after[name] = {"N": str(int(before["N"]) + int(values[plus]["N"]))}
            else:
                after[name] = item.get(name, values[first])
        for name in removed:
            after.pop(name, None)
        return after

    return apply
