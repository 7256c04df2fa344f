"""What HubSpot's answer means for each input: errors carry no index, so this follows from the echoes. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from model.contract import LimitInput, LimitKey
from model.errors import Refused
from model.hubspot_answer import AnswerStatus, BatchAnswer, ErrorBody, ErrorDetail, error_body, json_object
from model.outcomes import Result

MESSAGE_CHARACTERS = 2_000
# HubSpot does not document how it refuses a limit that exists. Too many words here cost a read, too few the truth.
EXISTS = re.compile(r"\b(already|exists|duplicate|conflict)\b|already_|_exists", re.IGNORECASE)


@dataclass(frozen=True)
class Attribution:
    """What became of one input. From an answer alone, UNCONFIRMED means: not proven yet, read the pair back.

    `exists`: refused, it seems, because the limit is set already. `echoed`: another number that HubSpot confirmed.
    `read`: decided by reading back, and not by an answer. `instead`: the other number that a reading shows for an input
    refused after a send in doubt.
    """

    result: Result
    message: str | None = None
    correlation_id: str | None = None
    exists: bool = False
    echoed: int | None = None
    read: bool = False
    instead: int | None = None


def refused(refusal: Refused) -> Attribution:
    """The attribution of an input that HubSpot refused alone."""
    error = error_body(json_object(refusal.body))
    details = [detail.message for detail in error.errors if detail.message and detail.message != error.message]
    message = " ".join([refusal.message, *details])[:MESSAGE_CHARACTERS]
    # Without a message, as when the body did not arrive whole, this may be the reason as well.
    exists = error.message is None or _exists([error])
    return Attribution(Result.REJECTED, message, refusal.correlation_id, exists=exists)


def attribute(asked: Sequence[LimitInput], answer: BatchAnswer) -> dict[LimitKey, Attribution]:
    """The attribution of every input asked for.

    An input is applied only if a finished answer echoes it with the number asked for. An input that is not echoed is
    rejected if an error names it or names no input, or if HubSpot counts as many errors as inputs are missing. The rest
    is unconfirmed.
    """
    if answer.status is not AnswerStatus.COMPLETE:
        status = answer.status.value if answer.status else "no status"
        return {item.key: Attribution(Result.UNCONFIRMED, f"HubSpot answered {status}, not COMPLETE") for item in asked}
    echoed = {(row.category, row.type_id): row.user_enforced_max_to_object_ids for row in answer.results}
    missing = [item for item in asked if item.key not in echoed]
    refusals = _refusals(missing, answer)
    return {item.key: refusals.get(item.key) or _echo(item, echoed.get(item.key)) for item in asked}


def _echo(item: LimitInput, number: int | None) -> Attribution:
    if number == item.max_to_object_ids:
        return Attribution(Result.APPLIED)
    message = f"HubSpot echoed {number}, not the {item.max_to_object_ids} asked for"
    return Attribution(Result.UNCONFIRMED, message, echoed=number)


def _refusals(missing: Sequence[LimitInput], answer: BatchAnswer) -> dict[LimitKey, Attribution]:
    errors = answer.errors
    owners = [(error, {item.key for item in missing if _names(error, item, missing)}) for error in errors]
    general = [error for error, keys in owners if not keys]
    all_are_counted = max(len(errors), answer.num_errors or 0) >= len({item.key for item in missing})
    attributions = {}
    for item in missing:
        own = [error for error, keys in owners if item.key in keys] or general
        if own or all_are_counted:
            attributions[item.key] = _refusal(own or errors)
        else:
            attributions[item.key] = Attribution(
                Result.UNCONFIRMED, "HubSpot answered COMPLETE, but neither echoed this input nor gave an error for it"
            )
    return attributions


def _refusal(errors: Sequence[ErrorBody]) -> Attribution:
    messages = dict.fromkeys(_message(error) for error in errors)
    message = " | ".join(messages) or "HubSpot counted an error for this input and gave no message"
    correlation_id = next((error.correlation_id for error in errors if error.correlation_id), None)
    return Attribution(Result.REJECTED, message[:MESSAGE_CHARACTERS], correlation_id, exists=_exists(errors))


def _exists(errors: Sequence[ErrorBody]) -> bool:
    texts = [text for error in errors for text in (*_texts(error), error.category or "", str(error.sub_category or ""))]
    codes = [detail.code or "" for error in errors for detail in error.errors]
    return any(EXISTS.search(text) for text in (*texts, *codes))


def _message(error: ErrorBody) -> str:
    nested = "; ".join(detail.message for detail in error.errors if detail.message)
    return error.message or nested or "HubSpot gave an error without a message"


def _names(error: ErrorBody, item: LimitInput, among: Sequence[LimitInput]) -> bool:
    """Whether an error names an input: its type id as a number of its own, and its category where ids are ambiguous."""
    text = " ".join(_texts(error))
    if not re.search(rf"(?<![\w.-]){item.type_id}(?![\w-]|\.\d)", text):
        return False
    rivals = {other.category.value for other in among if other.type_id == item.type_id} - {item.category.value}
    return item.category.value in text or not any(rival in text for rival in rivals)


def _texts(error: ErrorBody) -> Iterator[str]:
    yield error.id or ""
    parts: list[ErrorBody | ErrorDetail] = [error, *(error.errors)]
    for part in parts:
        yield part.message or ""
        if isinstance(part.context, str):
            yield part.context
        elif part.context:
            yield from (value for values in part.context.values() for value in values)
