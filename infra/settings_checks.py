"""Checks of single settings. Each returns the value or raises voluptuous.Invalid with what to write instead."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import SplitResult, urlsplit
from zoneinfo import available_timezones

from voluptuous import Invalid, Schema

from infra.checks import Number, an_object
from infra.retention import RETENTION
from model.validation import Check, Each, Text

LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_text, _number = Text(), Number()


def hubspot_url(value: Any) -> str:
    """Where HubSpot is, over TLS unless it is this machine."""
    url = _split(value)
    if not url.hostname or not (url.scheme == "https" or (url.scheme == "http" and url.hostname in LOOPBACK)):
        raise Invalid("must be an https URL such as https://api.hubapi.com; plain http is only for 127.0.0.1")
    return _a_path_can_follow(value)


def https_or_empty(value: Any) -> str:
    """An address over TLS to which a path can be added."""
    url = _split(value)
    if value and (url.scheme != "https" or not url.hostname):
        raise Invalid('must be an https URL such as https://limits.example.com, or ""')
    return _a_path_can_follow(value)


def origin_or_empty(value: Any) -> str:
    """A web site. It becomes a header within quotes, so it is held to the letter."""
    if _text(value) and not re.fullmatch(r"https://[a-z0-9.-]+(:\d{1,5})?", value):
        raise Invalid('must be one origin such as https://admin.example.com, without a path, or ""')
    return str(value)


def address_or_empty(value: Any) -> str:
    """An e-mail address."""
    if _text(value) and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", value):
        raise Invalid('must be one e-mail address, or "" for no e-mail')
    return str(value)


def kept_by_cloudwatch(value: Any) -> int:
    """A number of days for which CloudWatch Logs can be told to keep logs."""
    if _number(value) not in RETENTION:
        raise Invalid(f"must be one of the numbers of days CloudWatch Logs accepts: {', '.join(map(str, RETENTION))}")
    return int(value)


def time_zone(value: Any) -> str:
    """The name of a time zone, as IANA has it."""
    known = available_timezones()  # empty on a machine without time zone data: AWS then has the last word
    if _text(value) not in known and known:
        raise Invalid("is not a time zone; use an IANA name such as Europe/Berlin")
    return str(value)


def time_zones(value: Any) -> dict[str, str]:
    """Time zones by whatever has them."""
    zones: dict[str, str] = Schema({str: time_zone})(an_object(value))
    return zones


def listed(check: Check, least: int = 0, most: int | None = None) -> Check:
    """So many values, none of them twice, each of which passes a check."""
    each = Each(check)

    def distinct(value: Any) -> tuple[Any, ...]:
        values = each(value)
        if most is not None and len(values) > most:
            raise Invalid(f"must name at most {most}, not {len(values)}; deploy a second stack for the others")
        if len(values) < least:
            raise Invalid("must name at least one")
        if repeated := sorted({one for one in values if values.count(one) > 1}):
            raise Invalid(f"must name each only once; repeated: {', '.join(repeated)}")
        return values

    return distinct


def _a_path_can_follow(value: str) -> str:
    if "?" in value or "#" in value:
        raise Invalid("must have no query and no fragment, as paths are added to it")
    return value.rstrip("/")


def _split(value: Any) -> SplitResult:
    try:
        return urlsplit(_text(value))
    except ValueError as error:
        raise Invalid(f"must be a URL ({error})") from None
