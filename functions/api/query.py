"""The query string of GET /outcomes, checked."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from ledger.history import NEWEST, OLDEST, Filter
from model.contract import DEFAULT_PORTAL, ContractError, ObjectType, PortalName, Problem, problems_of
from model.outcomes import Status, iso

DATE = re.compile(r"\d{4}-\d\d-\d\d")
SORT_KEY = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z#[A-Za-z0-9._:-]{1,128}")


def page_token(sort_key: str) -> str:
    """A sort key as callers get it: opaque, and safe in a URL as it is."""
    return urlsafe_b64encode(sort_key.encode()).decode().rstrip("=")


def _sort_key(token: str) -> str:
    try:
        sort_key = urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    except ValueError:
        sort_key = ""
    if not SORT_KEY.fullmatch(sort_key):
        raise PydanticCustomError("page_token", "is not a paging.next.after that an earlier page gave")
    return sort_key


def _dated(text: str) -> str:
    if not DATE.match(text):  # pydantic takes a number for seconds since 1970
        raise PydanticCustomError("moment", "must be a time in ISO 8601 with its offset from UTC")
    return text


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("moment", "must be within the years 1 to 9999 in UTC") from None


class _Query(BaseModel):
    model_config = ConfigDict(extra="forbid")

    portal: PortalName = DEFAULT_PORTAL
    from_: ObjectType | None = Field(default=None, alias="from")
    to: ObjectType | None = None
    status: Status | None = None
    since: Annotated[AwareDatetime, BeforeValidator(_dated), AfterValidator(_in_utc)] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 50
    after: Annotated[str, AfterValidator(_sort_key)] | None = None

    @model_validator(mode="after")
    def _both_ends_of_a_pair(self) -> _Query:
        if (self.from_ is None) != (self.to is None):
            raise PydanticCustomError("half_a_pair", "from and to name a pair together; give both or neither")
        return self


class _Replay(BaseModel):
    model_config = ConfigDict(extra="forbid")

    all: bool = False


def given_once(parameters: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The value of each parameter. Raises ContractError for one that has several, which readers understand differently,
    as they do a key that is given twice in JSON."""
    twice = [Problem(name, "is given more than once") for name, values in parameters.items() if len(values) > 1]
    if twice:
        raise ContractError(twice)
    return {name: value for name, values in parameters.items() for value in values}


def wants_all(parameters: dict[str, str]) -> bool:
    """Whether a replay is for every input. Raises ContractError."""
    try:
        return _Replay.model_validate(parameters).all
    except ValidationError as error:
        raise ContractError(problems_of(error)) from None


def parse_filter(parameters: dict[str, str]) -> Filter:
    """What a query string asks for. Raises ContractError."""
    try:
        query = _Query.model_validate(parameters)
    except ValidationError as error:
        raise ContractError(problems_of(error)) from None
    return Filter(
        portal=query.portal,
        pair=(query.from_, query.to) if query.from_ and query.to else None,
        status=query.status,
        since=iso(query.since) if query.since else OLDEST,
        after=query.after or NEWEST,
        limit=query.limit,
    )
