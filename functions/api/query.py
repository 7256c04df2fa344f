"""The query string of GET /outcomes, checked."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from voluptuous import All, Invalid, Match, Optional, Schema

from ledger.history import NEWEST, OLDEST, Filter
from model.contract import DEFAULT_PORTAL, ContractError, Problem
from model.outcomes import Status
from model.records import iso
from model.validation import OneOf, WholeNumber, check, flag, moment, object_type, portal_name, strict

if TYPE_CHECKING:
    from api.clients import Client, Known

SORT_KEY = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z#[A-Za-z0-9._:-]{1,128}")
UNKNOWN = "is not a parameter of this query; check its spelling"
NO_TIME = "must be a time in ISO 8601 with its offset from UTC"
Parameters = Mapping[str, Sequence[str]]  # with all values of each
PAGE = WholeNumber(1, 100)
DEFAULT_PAGE = 50


def page_token(sort_key: str) -> str:
    """A sort key as callers get it: opaque, and safe in a URL as it is."""
    return urlsafe_b64encode(sort_key.encode()).decode().rstrip("=")


def _sort_key(token: str) -> str:
    with suppress(ValueError):
        sort_key = urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
        if SORT_KEY.fullmatch(sort_key):
            return sort_key
    raise Invalid("is not a paging.next.after that an earlier page gave")


def _limit(text: str) -> int:
    # Text is read as a number of so many digits at most: Python refuses thousands of them with a ValueError.
    return PAGE(int(text) if re.fullmatch(r"[+-]?\d{1,9}", text) else text)


FILTER = strict(
    {
        Optional("portal"): portal_name,
        Optional("from"): object_type,
        Optional("to"): object_type,
        Optional("status"): OneOf(Status),
        # Python also reads 20261123 as a date; the interface takes dates with hyphens only.
        Optional("since"): All(Match(r"\d{4}-\d\d-\d\d", NO_TIME), moment, iso),
        Optional("limit"): _limit,
        Optional("after"): _sort_key,
    },
    UNKNOWN,
)
REPLAY = strict({Optional("all"): flag}, UNKNOWN)


def wants_all(parameters: Parameters) -> bool:
    """Whether a replay is for every input. Raises ContractError."""
    return bool(_checked(REPLAY, parameters).get("all"))


def permitted_filter(parameters: Parameters, client: Client, known: Known) -> Filter:
    """What a query string asks for, its pair as ids where they are known. Raises ContractError and Forbidden."""
    wanted = parse_filter(parameters)
    client.require(wanted.portal, wanted.pair or (), known)
    if wanted.pair is None:
        return wanted
    from_type, to_type = (known(wanted.portal, name) or name for name in wanted.pair)
    return replace(wanted, pair=(from_type, to_type))


def parse_filter(parameters: Parameters) -> Filter:
    """What a query string asks for, its pair as spelt. Raises ContractError."""
    known = _checked(FILTER, parameters)
    if ("from" in known) != ("to" in known):
        raise ContractError([Problem("", "from and to name a pair together; give both or neither")])
    return Filter(
        portal=known.get("portal", DEFAULT_PORTAL),
        pair=(known["from"], known["to"]) if "from" in known else None,
        status=known.get("status"),
        since=known.get("since", OLDEST),
        after=known.get("after", NEWEST),
        limit=known.get("limit", DEFAULT_PAGE),
    )


def _checked(schema: Schema, parameters: Parameters) -> dict[str, Any]:
    # Several values of one parameter would be understood differently by different readers, as two keys in JSON.
    twice = [Problem(name, "is given more than once") for name, values in parameters.items() if len(values) > 1]
    if twice:
        raise ContractError(twice)
    known: dict[str, Any] = check(schema, {name: value for name, values in parameters.items() for value in values})
    return known
