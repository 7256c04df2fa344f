"""HubSpot's answers as types, read leniently.

HubSpot asks clients to treat every error field as optional, and answers contradict their own description: a field of an
unforeseen type costs its typed form and nothing else. The ledger keeps the body word for word.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Context = dict[str, list[str]] | str  # a map in HubSpot's description, a string in its own sample


class AnswerStatus(StrEnum):
    CANCELED = "CANCELED"
    COMPLETE = "COMPLETE"
    PENDING = "PENDING"
    PROCESSING = "PROCESSING"


STATUSES = {status.value: status for status in AnswerStatus}


@dataclass(frozen=True, slots=True)
class EchoedLimit:
    """One row of `results`: a limit as HubSpot says it now is."""

    category: str | None
    type_id: int | None
    user_enforced_max_to_object_ids: int | None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> EchoedLimit:
        return cls(
            _text(row.get("category")), _number(row.get("typeId")), _number(row.get("userEnforcedMaxToObjectIds"))
        )


@dataclass(frozen=True, slots=True)
class ErrorDetail:
    """One of the `errors` within an error."""

    message: str | None
    code: str | None
    context: Context | None

    @classmethod
    def of(cls, detail: Mapping[str, Any]) -> ErrorDetail:
        return cls(_text(detail.get("message")), _text(detail.get("code")), _context(detail.get("context")))


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """An error of HubSpot's: one of a 207's `errors`, or the whole body of a 4xx or 5xx."""

    status: str | None
    category: str | None
    message: str | None
    correlation_id: str | None
    context: Context | None
    errors: tuple[ErrorDetail, ...]
    id: str | None
    sub_category: Any  # an object inside a 207, a string in an error body
    policy_name: str | None  # of a 429: TEN_SECONDLY_ROLLING or DAILY
    error: str | None  # of a refused refresh: OAuth's own word for it

    @classmethod
    def of(cls, body: object) -> ErrorBody:
        """What can be read of it: nothing of what is no object."""
        known = body if isinstance(body, dict) else {}
        return cls(
            status=_text(known.get("status")),
            category=_text(known.get("category")),
            message=_text(known.get("message")),
            correlation_id=_text(known.get("correlationId")),
            context=_context(known.get("context")),
            errors=tuple(ErrorDetail.of(detail) for detail in objects(known, "errors")),
            id=_text(known.get("id")),
            sub_category=known.get("subCategory"),
            policy_name=_text(known.get("policyName")),
            error=_text(known.get("error")),
        )


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """The body of a 2xx of batch create."""

    status: AnswerStatus | None
    results: tuple[EchoedLimit, ...]
    errors: tuple[ErrorBody, ...]
    num_errors: int | None

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> BatchAnswer:
        return cls(
            status=STATUSES.get(_text(body.get("status")) or ""),
            results=tuple(EchoedLimit.of(row) for row in objects(body, "results")),
            errors=tuple(ErrorBody.of(error) for error in objects(body, "errors")),
            num_errors=_number(body.get("numErrors")),
        )


def json_object(text: str | None) -> dict[str, Any] | None:
    """The JSON object that a body holds, or None: an edge's page of HTML, nothing at all, or another value."""
    try:
        value = json.loads(text or "")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def objects(body: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The objects in a list of an answer's; none where something else stands in its place."""
    rows = body.get(name)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _context(value: object) -> Context | None:
    if isinstance(value, dict):
        return {
            name: [each for each in values if isinstance(each, str)]
            for name, values in value.items()
            if isinstance(values, list)
        }
    return _text(value)
