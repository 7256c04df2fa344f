"""JSON as HubSpot reads it: of a key that is given twice the last counts."""

from __future__ import annotations

import json


def parsed(raw: bytes) -> object:
    """The value of a JSON text. Raises ValueError where it is none, or none that could be written as JSON again."""
    try:
        value: object = json.loads(raw.decode())
        # Python reads more than JSON has: numbers without end, half a character, any depth.
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return value
