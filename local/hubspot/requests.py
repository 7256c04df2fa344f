"""The bodies of HubSpot's batch operations, parsed strictly, with every problem reported at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, get_args

from voluptuous import REMOVE_EXTRA, Schema

from infra.checks import Choice, Number, an_object, record
from local.hubspot.answers import Problem, invalid
from local.hubspot.catalogue import Category, TypeKey
from local.hubspot.documents import parsed
from local.hubspot.settings import INT32_MAX
from model.contract import ContractError
from model.validation import Each, check, required

Int32 = Annotated[int, Number(-INT32_MAX - 1, INT32_MAX)]


@dataclass(frozen=True)
class TypeInput:
    """One input of a purge: an association type of the pair in the path. Unknown fields are ignored."""

    category: Annotated[str, Choice(get_args(Category))]
    type_id: Int32

    @cached_property
    def key(self) -> TypeKey:
        """The association type this input is about."""
        return TypeKey(self.category, self.type_id)

    @property
    def limit(self) -> int | None:
        """The limit this input asks for; None asks that there be no limit."""
        return None


@dataclass(frozen=True)
class RequestedLimit(TypeInput):
    """One input of a create or update."""

    max_to_object_ids: Int32

    @property
    def limit(self) -> int | None:
        """The limit this input asks for."""
        return self.max_to_object_ids


def _body(kind: type[TypeInput]) -> Schema:
    inputs = Schema({required("inputs"): Each(record(kind, None))}, extra=REMOVE_EXTRA)
    return Schema(lambda value: inputs(an_object(value)))


_BODIES = {kind: _body(kind) for kind in (TypeInput, RequestedLimit)}


def parse_inputs(raw: bytes, kind: type[TypeInput]) -> Sequence[TypeInput]:
    """The inputs of this kind in a raw request body. Raises HubSpotError (400) naming every missing or wrong field."""
    try:
        document = parsed(raw)
    except ValueError as error:
        raise invalid(f"The request body is not JSON: {error}") from error
    try:
        inputs: Sequence[TypeInput] = check(_BODIES[kind], document)["inputs"]
    except ContractError as error:
        problems = [Problem(problem.message, problem.field or "body", "INVALID") for problem in error.problems]
        raise invalid(f"The request body has {len(problems)} invalid fields.", problems) from error
    return inputs
