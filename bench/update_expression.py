"""DynamoDB's update expressions: SET with values, counts, first values and lists that grow; REMOVE. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from tests.simulation.dynamo import client_error
from tests.simulation.expressions import Unsupported, tokens

Values = dict[str, Any]
Change = Callable[[Values, Values], Values]  # of an item with an expression's values, to the item after that
Operand = Callable[[Values, Values], Values]  # of the same, to a typed value


@cache
def compiled(text: str, names: tuple[tuple[str, str], ...]) -> Change:
    """An update expression with its names resolved. Raises Unsupported."""
    parser = _Parser(text, dict(names))
    written: dict[str, Operand] = {}
    removed: list[str] = []
    while clause := parser.take("SET", "REMOVE"):
        if clause == "SET":
            written.update(parser.assignments())
        else:
            removed += parser.names()
    parser.end()

    def change(item: Values, values: Values) -> Values:
        # Every operand is of the item before the update.
        after = {**item, **{name: operand(item, values) for name, operand in written.items()}}
        return {name: value for name, value in after.items() if name not in removed}

    return change


class _Parser:
    def __init__(self, text: str, names: dict[str, str]) -> None:
        self._text = text
        self._left = deque(tokens(text))
        self._names = names

    def take(self, *wanted: str) -> str:
        """The next token if it is one of these, else nothing."""
        return self._left.popleft() if self._left and self._left[0] in wanted else ""

    def end(self) -> None:
        """Expect that nothing is left."""
        if self._left:
            raise Unsupported(self._text)

    def assignments(self) -> Iterator[tuple[str, Operand]]:
        while True:
            name = self._name()
            self._expect("=")
            yield name, self._sum()
            if not self.take(","):
                return

    def names(self) -> Iterator[str]:
        yield self._name()
        while self.take(","):
            yield self._name()

    def _sum(self) -> Operand:
        first = self._operand()
        if not self.take("+"):
            return first
        second = self._operand()
        return lambda item, values: {"N": str(_of_kind("N", first(item, values)) + _of_kind("N", second(item, values)))}

    def _operand(self) -> Operand:
        if self.take("if_not_exists"):
            self._expect("(")
            name = self._name()
            self._expect(",")
            otherwise = self._operand()
            self._expect(")")
            return lambda item, values: item[name] if name in item else otherwise(item, values)
        if self.take("list_append"):
            self._expect("(")
            first = self._operand()
            self._expect(",")
            second = self._operand()
            self._expect(")")
            return lambda item, values: {
                "L": [*_of_kind("L", first(item, values)), *_of_kind("L", second(item, values))]
            }
        if self._left and self._left[0].startswith(":"):
            token = self._left.popleft()
            return lambda item, values: _existing(values, token)
        name = self._name()
        return lambda item, values: _existing(item, name)

    def _name(self) -> str:
        if not self._left or not self._left[0].removeprefix("#").isidentifier():
            raise Unsupported(self._text)
        token = self._left.popleft()
        return self._names[token] if token.startswith("#") else token

    def _expect(self, token: str) -> None:
        if not self.take(token):
            raise Unsupported(self._text)


def _existing(values: Values, name: str) -> Values:
    if name not in values:
        raise client_error("UpdateItem", "ValidationException")
    value: Values = values[name]
    return value


def _of_kind(kind: str, value: Values) -> Any:
    if kind not in value:
        raise client_error("UpdateItem", "ValidationException")
    return int(value["N"]) if kind == "N" else value[kind]
