"""The environment of a function, parsed once; all that is wrong is reported together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import tzinfo
from math import inf
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from voluptuous import REMOVE_EXTRA, All, Coerce, Invalid, Optional, Range, Schema

from model.contract import ContractError
from model.validation import Check, Each, Text, check, portal_name, required

LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class SettingsError(Exception):
    """The environment lacks something or holds something wrong; the message names every variable at fault."""


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _listed(each: Check) -> Check:
    return All(_split, Each(each, 1))


def _number(kind: type[int] | type[float], least: float, most: float = inf) -> Check:
    return All(Coerce(kind, "must be a number"), Range(least, most, msg=f"must be from {least} to {most}"))


def _zones(text: str) -> dict[str, ZoneInfo]:
    try:
        return {portal: ZoneInfo(name) for portal, _, name in (part.partition("=") for part in _split(text))}
    except (ValueError, LookupError, OSError) as error:
        raise Invalid(f"must be portal=Area/City, joined by commas ({error})") from None


def _base_url(text: str) -> str:
    url = urlsplit(text)
    if url.scheme != "https" and not (url.scheme == "http" and url.hostname in LOOPBACK):
        raise Invalid("must be an https URL (plain http only on loopback)")  # never send a token in clear
    if "?" in text or "#" in text:
        raise Invalid("must have no query and no fragment: paths are added to it")
    return text.rstrip("/")


def _variable(check: Check, default: Any = MISSING) -> Any:
    return field(default=default, metadata={"check": check})


API_VERSION = Text(r"^20[0-9]{2}-(0[1-9]|1[0-2])$")
# Longer than a request waits, and then SQS keeps a message (14 days): else a message could outlive its outcome, and
# what it was sent for would be forgotten. And no date may come out that there is not.
RETENTION_DAYS = (15, 3_650)
GIVE_UP_AFTER_HOURS = (1, 336)  # SQS keeps a message no longer
MISSING_SECRET_HOURS = (1, 336)  # ours: nothing waits longer than that
_some = Text(least=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a deployment decides, under the names of the environment variables in lower case."""

    hubspot_base_url: str = _variable(_base_url)
    # Dated, one each March and September; the first is the one used when a request names none.
    hubspot_api_versions: tuple[str, ...] = _variable(_listed(API_VERSION))
    portals: tuple[str, ...] = _variable(_listed(portal_name))
    token_secret_prefix: str = _variable(_some)
    outcomes_table: str = _variable(_some)
    access_tokens_table: str = _variable(_some)
    outcome_retention_days: int = _variable(_number(int, *RETENTION_DAYS))
    # How long a request may wait, from when it was accepted.
    give_up_after_hours: int = _variable(_number(int, *GIVE_UP_AFTER_HOURS), 240)
    # Until a portal without its secret has ended. One that is taken away by mistake, or made anew, comes back sooner.
    missing_secret_hours: int = _variable(_number(int, *MISSING_SECRET_HOURS), 24)
    batch_size: int = _variable(_number(int, 1, 2000))
    quota_calls: int = _variable(_number(int, 1))  # per ten seconds; what HubSpot's answers say counts more
    head_room: float = _variable(_number(float, 0, 0.999))  # of the quota, for other apps and for people who wait
    # How long HubSpot's reads may lag behind its writes. Of its reads of limits nobody has published it; other reads of
    # HubSpot's have been seen to flip between old and new for 70 s, and names of labels took some five minutes.
    read_lag_seconds: float = _variable(_number(float, 0, 3600), 300.0)
    queue_url: str = _variable(_some)
    portal_time_zones: Mapping[str, ZoneInfo] | None = _variable(_zones, None)
    clients_secret: str = _variable(str, "")  # only the webhook has callers to know
    authorization: str = _variable(Text("^(key|iam)$"), "key")  # how callers are recognised
    public_url: str = _variable(str, "")  # where callers reach the API, unless at API Gateway's own address

    def zone(self, portal: str) -> tzinfo | None:
        """The time zone of a portal's account, at whose midnight its daily quota is full again, if it is set."""
        return (self.portal_time_zones or {}).get(portal)


def load(environment: Mapping[str, str]) -> Settings:
    """Settings from environment variables. Raises SettingsError."""
    known = fields(Settings)
    schema = {
        (required if each.default is MISSING else Optional)(each.name.upper()): each.metadata["check"] for each in known
    }
    try:
        values = check(Schema(schema, extra=REMOVE_EXTRA), dict(environment))
    except ContractError as error:
        raise SettingsError(f"set these environment variables right: {error}") from None
    return Settings(**{name.lower(): value for name, value in values.items()})
