"""The query string of GET /outcomes, checked."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from voluptuous import Invalid, Optional

from ledger.history import NEWEST, OLDEST, Filter
from model.contract import DEFAULT_PORTAL, ContractError, Problem
from model.outcomes import Status
from model.records import iso
from model.validation import OneOf, WholeNumber, check, flag, moment, object_type, portal_name, strict

DATE = re.compile(r"\d{4}-\d\d-\d\d")
SORT_KEY = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z#[A-Za-z0-9._:-]{1,128}")
UNKNOWN = "is not a parameter of this query; check its spelling"
PAGE = WholeNumber(1, 100)
DEFAULT_PAGE = 50


def page_token(sort_key: str) -> str:
    """A sort key as callers get it: opaque, and safe in a URL as it is."""
    return urlsafe_b64encode(sort_key.encode()).decode().rstrip("=")


def _sort_key(token: str) -> str:
    try:
        sort_key = urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    except ValueError:
        sort_key = ""
    if not SORT_KEY.fullmatch(sort_key):
        raise Invalid("is not a paging.next.after that an earlier page gave")
    return sort_key


def _since(text: str) -> str:
    if not DATE.match(text):
        raise Invalid("must be a time in ISO 8601 with its offset from UTC")
    return iso(moment(text))


def _limit(text: str) -> int:
    # A text is read as a number of so many digits at most: Python refuses thousands of them with a ValueError.
    return PAGE(int(text) if re.fullmatch(r"[+-]?\d{1,9}", text) else text)


FILTER = strict(
    {
        Optional("portal"): portal_name,
        Optional("from"): object_type,
        Optional("to"): object_type,
        Optional("status"): OneOf(Status),
        Optional("since"): _since,
        Optional("limit"): _limit,
        Optional("after"): _sort_key,
    },
    UNKNOWN,
)
REPLAY = strict({Optional("all"): flag}, UNKNOWN)


def _given_once(parameters: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The value of each parameter. Raises ContractError for one that has several, which readers understand differently,
    as they do a key that is given twice in JSON."""
    twice = [Problem(name, "is given more than once") for name, values in parameters.items() if len(values) > 1]
    if twice:
        raise ContractError(twice)
    return {name: value for name, values in parameters.items() for value in values}


def wants_all(parameters: Mapping[str, Sequence[str]]) -> bool:
    """Whether a replay is for every input. Raises ContractError."""
    known: dict[str, Any] = check(REPLAY, _given_once(parameters))
    return bool(known.get("all", False))


def parse_filter(parameters: Mapping[str, Sequence[str]]) -> Filter:
    """What a query string asks for. Raises ContractError."""
    known: dict[str, Any] = check(FILTER, _given_once(parameters))
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
