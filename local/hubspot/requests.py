"""The bodies of HubSpot's batch operations, parsed strictly, with every problem reported at once."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import from_json

from local.hubspot.answers import Problem, invalid
from local.hubspot.catalogue import Category, TypeKey
from local.hubspot.settings import INT32_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence

Int32 = Annotated[int, Field(ge=-INT32_MAX - 1, le=INT32_MAX)]


class TypeInput(BaseModel):
    """One input of a purge: an association type of the pair in the path. Unknown fields are ignored."""

    model_config = ConfigDict(alias_generator=to_camel, strict=True, frozen=True)

    category: Category
    type_id: Int32

    @cached_property
    def key(self) -> TypeKey:
        """The association type this input is about."""
        return TypeKey(self.category, self.type_id)

    @property
    def limit(self) -> int | None:
        """The limit this input asks for; None asks that there be no limit."""
        return None


class LimitInput(TypeInput):
    """One input of a create or update."""

    max_to_object_ids: Int32

    @property
    def limit(self) -> int | None:
        """The limit this input asks for."""
        return self.max_to_object_ids


class LimitBody(BaseModel):
    """The body of create and update."""

    model_config = ConfigDict(strict=True)
    inputs: list[LimitInput]


class PurgeBody(BaseModel):
    """The body of purge."""

    model_config = ConfigDict(strict=True)
    inputs: list[TypeInput]


def parse_inputs(raw: bytes, body: type[LimitBody | PurgeBody]) -> Sequence[TypeInput]:
    """The inputs in a raw request body. Raises HubSpotError (400) naming every missing or wrong field."""
    try:
        document = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise invalid(f"The request body is not JSON: {error}") from error
    try:
        return body.model_validate(document).inputs
    except ValidationError as error:
        problems = [
            Problem(problem["msg"], _path(problem["loc"]), problem["type"].upper())
            for problem in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        raise invalid(f"The request body has {len(problems)} invalid fields.", problems) from error


def _path(location: tuple[int | str, ...]) -> str:
    """`("inputs", 0, "typeId")` as `inputs[0].typeId`; the body itself as `body`."""
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return path.lstrip(".") or "body"
