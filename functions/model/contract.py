"""The request we accept and the answer HubSpot gives, as types.

What we send is strict, so that a typing error is never silently dropped. What we receive is lenient, because HubSpot
asks clients to treat every error field as optional and answers contradict their own description.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictInt,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails, PydanticCustomError, from_json

INT32_MAX = 2**31 - 1  # HubSpot's description types both numbers as int32
MAX_INPUTS = 500  # ours: HubSpot documents no maximum; a request this size still fits one ledger item
DEFAULT_PORTAL = "default"

# Names (`deals`, `p123_car`) and ids (`0-1`, `2-123`). Nothing that could change the path of the URL it is put in.
ObjectType = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$", strict=True)]
PortalName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", strict=True)]
# Free text that goes to logs and to whoever reads an outcome: nothing in it that moves a terminal's cursor.
LINE = r"^\P{Cc}*$"
SingleLine = Annotated[str, StringConstraints(pattern=LINE, strict=True)]
Int32 = Annotated[StrictInt, Field(ge=1, le=INT32_MAX)]


class Category(StrEnum):
    """Who defined an association type. A type id is unique only within (from, to, category)."""

    HUBSPOT_DEFINED = "HUBSPOT_DEFINED"
    USER_DEFINED = "USER_DEFINED"
    INTEGRATOR_DEFINED = "INTEGRATOR_DEFINED"
    WORK = "WORK"


LimitKey = tuple[str, int]  # (category, typeId): what names one limit within a portal and pair


# ---------------------------------------------------------------------------------------------- what we accept and send
class Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=False, serialize_by_alias=True
    )


class LimitInput(Strict):
    """One limit asked for: at most `maxToObjectIds` target records for each source record."""

    category: Category
    type_id: Int32
    max_to_object_ids: Int32

    @property
    def key(self) -> LimitKey:
        return (self.category.value, self.type_id)


class BatchRequest(Strict):
    """The body of HubSpot's batch create."""

    inputs: Annotated[list[LimitInput], Field(min_length=1, max_length=MAX_INPUTS)]

    @model_validator(mode="after")
    def _one_number_per_limit(self) -> BatchRequest:
        numbers: dict[LimitKey, int] = {}
        for item in self.inputs:
            if numbers.setdefault(item.key, item.max_to_object_ids) != item.max_to_object_ids:
                raise PydanticCustomError(
                    "conflicting_inputs",
                    "inputs ask for both {first} and {second} for {category} type {type_id}; keep one of them",
                    {
                        "first": numbers[item.key],
                        "second": item.max_to_object_ids,
                        "category": item.category.value,
                        "type_id": item.type_id,
                    },
                )
        return self


class Envelope(BatchRequest):
    """One demand to set limits on one pair of one portal: SQS bodies, schedule inputs and files are this."""

    portal: PortalName = DEFAULT_PORTAL
    from_object_type: ObjectType
    to_object_type: ObjectType
    idempotency_key: Annotated[SingleLine, StringConstraints(min_length=1, max_length=255)] | None = None
    requested_by: Annotated[SingleLine, StringConstraints(max_length=256)] | None = None


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a request: where (`inputs[0].typeId`, or empty for the whole) and what to do about it."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


class ContractError(ValueError):
    """A request that can never be run as it is. `problems` holds every bad field, not only the first."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems


def parse_json(text: str | bytes) -> object:
    """The value of a JSON text. Raises ContractError where it is none (NaN, bad UTF-8 and abysmal depth included), and
    where an object names a key twice, which readers understand differently."""
    try:
        from_json(text, allow_inf_nan=False)  # strict, and with a limit to depth
        value: object = json.loads(text, object_pairs_hook=_each_key_once)
    except ContractError:
        raise
    except (ValueError, TypeError) as error:  # TypeError: text that cannot be UTF-8, a lone half of a character
        raise ContractError([Problem("", f"the body is not valid JSON: {error}")]) from error
    return value


def _each_key_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(value := dict(pairs)) == len(pairs):
        return value
    keys = [key for key, _ in pairs]
    twice = next(key for key in keys if keys.count(key) > 1)
    raise ContractError([Problem("", f"the body is not valid JSON: a key is given twice: {twice[:100]!r}")])


def parse_envelope(value: object, portals: Collection[str]) -> Envelope:
    """An envelope for one of `portals`, from parsed JSON. Raises ContractError."""
    if not isinstance(value, dict):
        raise ContractError([Problem("", "must be a JSON object with fromObjectType, toObjectType and inputs")])
    return _validated(value, portals, [])


def parse_batch(body: object, portals: Collection[str], **path: str | None) -> Envelope:
    """An envelope from the parsed body of HubSpot's own route and the fields its path names. Raises ContractError."""
    if not isinstance(body, dict):
        raise ContractError([Problem("", "the body must be a JSON object with inputs")])
    strays = [Problem(str(name), _MESSAGES["extra_forbidden"]) for name in body if name != "inputs"]
    given = {to_camel(name): value for name, value in path.items()}
    return _validated({**given, **{name: body[name] for name in body if name == "inputs"}}, portals, strays)


def _validated(value: dict[str, object], portals: Collection[str], problems: list[Problem]) -> Envelope:
    try:
        envelope = Envelope.model_validate(value)
    except ValidationError as error:
        raise ContractError(problems + problems_of(error)) from None
    if envelope.portal not in portals:
        known = ", ".join(sorted(portals))
        problems = [*problems, Problem("portal", f"is not a portal of this deployment; it has: {known}")]
    if problems:
        raise ContractError(problems)
    return envelope


_MESSAGES = {
    "extra_forbidden": "is not a field of this request; check its spelling",
    "missing": "is required",
    "int_type": "must be a whole number, not text or a fraction",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}, the largest int32",
    "too_short": "must hold at least {min_length} input",
    "too_long": f"must hold at most {MAX_INPUTS} inputs; split the request",
    "string_pattern_mismatch": "must match {pattern}",
    "control_characters": "must be text without control characters",
}


def problems_of(error: ValidationError) -> list[Problem]:
    """What a model found wrong, in words for the caller."""
    # Neither the input nor a documentation link is wanted: the first may hold a secret, the second is not ours.
    return [_problem(detail) for detail in error.errors(include_url=False, include_input=False)]


def _problem(detail: ErrorDetails) -> Problem:
    field = ""
    for part in detail["loc"]:
        field += f"[{part}]" if isinstance(part, int) else f".{part}" if field else part
    line = detail.get("ctx", {}).get("pattern") == LINE
    template = _MESSAGES.get("control_characters" if line else detail["type"])
    return Problem(field, template.format(**detail.get("ctx", {})) if template else detail["msg"])


# ------------------------------------------------------------------------------------------------------ what we receive
T = TypeVar("T")


def _none_when_malformed(value: object, parse: ValidatorFunctionWrapHandler) -> object:
    # The ledger keeps the body word for word, so a field of an unforeseen type costs its typed form and nothing else.
    try:
        return parse(value)
    except ValidationError:
        return None


Maybe = Annotated[T | None, WrapValidator(_none_when_malformed)]
Context = dict[str, list[str]] | str  # a map in HubSpot's description, a string in its own sample


class Lenient(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True, alias_generator=to_camel, serialize_by_alias=True)


class AnswerStatus(StrEnum):
    CANCELED = "CANCELED"
    COMPLETE = "COMPLETE"
    PENDING = "PENDING"
    PROCESSING = "PROCESSING"


class EchoedLimit(Lenient):
    """One row of `results`: a limit as HubSpot says it now is."""

    category: Maybe[str] = None
    type_id: Maybe[int] = None
    label: Maybe[str] = None
    user_enforced_max_to_object_ids: Maybe[int] = None


class ErrorDetail(Lenient):
    message: Maybe[str] = None
    code: Maybe[str] = None
    context: Maybe[Context] = None
    in_: Maybe[str] = Field(default=None, alias="in")
    sub_category: Maybe[str] = None


class ErrorBody(Lenient):
    """An error of HubSpot's: one of a 207's `errors`, or the whole body of a 4xx or 5xx."""

    status: Maybe[str] = None
    category: Maybe[str] = None
    message: Maybe[str] = None
    correlation_id: Maybe[str] = None
    context: Maybe[Context] = None
    errors: Maybe[list[ErrorDetail]] = None
    links: Maybe[dict[str, str]] = None
    id: Maybe[str] = None
    sub_category: Maybe[Any] = None  # an object inside a 207, a string in an error body
    policy_name: Maybe[str] = None  # of a 429: TEN_SECONDLY_ROLLING or DAILY


def error_body(text: str) -> ErrorBody:
    """What can be read of an error's body: nothing of an edge's HTML page, or of none."""
    try:
        return ErrorBody.model_validate_json(text)
    except ValidationError:
        return ErrorBody()


class BatchAnswer(Lenient):
    """The body of a 200, 201 or 207 of batch create."""

    status: Maybe[AnswerStatus] = None
    started_at: Maybe[str] = None
    completed_at: Maybe[str] = None
    requested_at: Maybe[str] = None
    results: list[EchoedLimit] = Field(default_factory=list)
    errors: Maybe[list[ErrorBody]] = None
    num_errors: Maybe[int] = None
    links: Maybe[dict[str, str]] = None


class PairAnswer(Lenient):
    """The body of the read of one pair: every limit set on it."""

    results: list[EchoedLimit]
