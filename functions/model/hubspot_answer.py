"""HubSpot's answers as types, read leniently.

HubSpot asks clients to treat every error field as optional, and answers contradict their own description: a field of an
unforeseen type is left out, and nothing else is. The ledger keeps the body word for word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from model import json_text
from model.records import reader

Context = dict[str, list[str]] | str  # a map in HubSpot's description, a string in its own sample


class AnswerStatus(StrEnum):
    CANCELED = "CANCELED"
    COMPLETE = "COMPLETE"
    PENDING = "PENDING"
    PROCESSING = "PROCESSING"


@dataclass(frozen=True, slots=True)
class EchoedLimit:
    """One row of `results`: a limit as HubSpot says that it is now."""

    category: str | None = None
    type_id: int | None = None
    user_enforced_max_to_object_ids: int | None = None


@dataclass(frozen=True, slots=True)
class ErrorDetail:
    """One of the `errors` within an error."""

    message: str | None = None
    code: str | None = None
    context: Context | None = None


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """An error of HubSpot's: one of a 207's `errors`, or the whole body of a 4xx or 5xx."""

    status: str | None = None
    category: str | None = None
    message: str | None = None
    correlation_id: str | None = None
    context: Context | None = None
    errors: tuple[ErrorDetail, ...] = ()
    id: str | None = None
    sub_category: Any = None  # an object inside a 207, a string in an error body
    policy_name: str | None = None  # of a 429: TEN_SECONDLY_ROLLING or DAILY
    error: str | None = None  # of a refused refresh: OAuth's own word for it


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """The body of a 2xx of batch create."""

    status: AnswerStatus | None = None
    results: tuple[EchoedLimit, ...] = ()
    errors: tuple[ErrorBody, ...] = ()
    num_errors: int | None = None


def json_object(text: str | None) -> dict[str, Any] | None:
    """The JSON object that a body holds, or None: an edge's page of HTML, nothing at all, or another value."""
    try:
        value = json_text.loads(text or "")
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _context(value: object) -> Context | None:
    if not isinstance(value, dict):
        return _text(value)
    lists = {name: values for name, values in value.items() if isinstance(values, list)}
    return {name: [each for each in values if isinstance(each, str)] for name, values in lists.items()}


def _each(of: Any) -> Any:
    return lambda rows: tuple(of(row) for row in rows if isinstance(row, dict)) if isinstance(rows, list) else ()


_LEAVES = {"str": _text, "int": _number, "Context": _context}
echoed_limit = reader(EchoedLimit, _LEAVES)
_error = reader(ErrorBody, {**_LEAVES, "tuple[ErrorDetail, ...]": _each(reader(ErrorDetail, _LEAVES))})
batch_answer = reader(
    BatchAnswer,
    {
        **_LEAVES,
        "AnswerStatus": lambda value: next((status for status in AnswerStatus if status == value), None),
        "tuple[EchoedLimit, ...]": _each(echoed_limit),
        "tuple[ErrorBody, ...]": _each(_error),
    },
)


def error_body(body: Mapping[str, Any] | None) -> ErrorBody:
    """What can be read of an error; nothing where it is no object."""
    return _error(body or {})
