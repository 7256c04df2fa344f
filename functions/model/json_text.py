"""JSON as all readers understand it: what some take and others do not is none."""

from __future__ import annotations

import json
from collections.abc import Callable

DEEPEST = 200  # levels; nothing that is asked for or answered here has more than ten, and json writes some thousand


def loads(text: str | bytes, pairs: Callable[[list[tuple[str, object]]], object] = dict) -> object:
    """The value of a JSON text. Raises ValueError where it is none: NaN, bad UTF-8, half a character of Unicode, and
    what is nested so deeply that it could not be written again. `pairs` makes an object of its keys and values."""
    decoded = text if isinstance(text, str) else text.decode()
    try:
        value: object = json.loads(decoded, object_pairs_hook=pairs, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if decoded.count("[") + decoded.count("{") > DEEPEST:
        _limit_depth(value)
    # Half a character is no text in UTF-8, whether it came as it is or as an escape.
    decoded.encode()
    if "\\ud" in decoded or "\\uD" in decoded:
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _refuse(text: str) -> object:
    raise ValueError(f"{text} is no number of JSON's")


def _limit_depth(value: object) -> None:
    level = [value]
    for _ in range(DEEPEST):
        nested = [each for each in level if isinstance(each, (dict, list))]
        level = [part for each in nested for part in (each.values() if isinstance(each, dict) else each)]
        if not level:
            return
    raise ValueError(f"it is nested more than {DEEPEST} levels deep")
