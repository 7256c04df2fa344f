"""JSON as HubSpot reads it: of a key that is given twice the last counts."""

from __future__ import annotations

import json


def parsed(raw: bytes) -> object:
    """The value of a JSON text. Raises ValueError where it is none, or none that could be sent on."""
    try:
        value: object = json.loads(raw.decode(), parse_constant=_no_number)
        json.dumps(value, ensure_ascii=False).encode()  # what it holds may be half a character, or too deep
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return value


def _no_number(text: str) -> object:
    raise ValueError(f"{text} is no number")
