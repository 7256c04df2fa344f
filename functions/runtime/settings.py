"""The environment of a function, parsed once; all that is wrong is reported together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from voluptuous import REMOVE_EXTRA, Invalid, Optional, Schema

from model.contract import ContractError
from model.validation import Check, Each, Text, check, portal_name, required

LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class SettingsError(Exception):
    """The environment lacks something or holds something wrong; the message names every variable at fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a deployment decides. Names are those of the environment variables, in lower case."""

    hubspot_base_url: str
    hubspot_api_versions: tuple[str, ...]  # dated; the first is the one used when a request names none
    portals: tuple[str, ...]
    token_secret_prefix: str
    outcomes_table: str
    outcome_retention_days: int
    batch_size: int
    quota_calls: int  # per ten seconds; what HubSpot's answers say counts more
    head_room: float  # of the quota, for other apps and for people who wait
    queue_url: str
    portal_time_zones: Mapping[str, ZoneInfo] = field(default_factory=dict)
    clients_secret: str = ""  # only the webhook has callers to know
    authorization: str = "key"  # or iam: by what callers are known
    public_url: str = ""  # by which callers reach the API, where it is not API Gateway's own address

    def zone(self, portal: str) -> tzinfo:
        """The time zone of a portal's account, at whose midnight its daily quota is full again; UTC if not set."""
        return self.portal_time_zones.get(portal, UTC)


def load(environment: Mapping[str, str]) -> Settings:
    """Settings from environment variables. Raises SettingsError."""
    try:
        known: dict[str, Any] = check(_VARIABLES, dict(environment))
    except ContractError as error:
        raise SettingsError(f"set these environment variables right: {error}") from None
    return Settings(**{name.lower(): value for name, value in known.items()})


def _listed(each: Check) -> Check:
    def listed(text: str) -> tuple[str, ...]:
        return Each(each, 1)(_split(text))

    return listed


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _number(kind: type[int] | type[float], least: float, most: float) -> Check:
    def number(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            raise Invalid("must be a number") from None
        if not least <= value <= most:
            raise Invalid(f"must be from {least} to {most}")
        return value

    return number


def _zones(text: str) -> dict[str, ZoneInfo]:
    try:
        return {portal: ZoneInfo(name) for portal, _, name in (part.partition("=") for part in _split(text))}
    except (ValueError, LookupError, OSError) as error:
        raise Invalid(f"must be portal=Area/City, joined by commas ({error})") from None


def _base_url(text: str) -> str:
    url = urlsplit(text)
    if url.scheme != "https" and not (url.scheme == "http" and url.hostname in LOOPBACK):
        raise Invalid("must be an https URL (plain http only on loopback)")  # never send a token in clear
    return text.rstrip("/")


def _authorization(text: str) -> str:
    if text not in ("key", "iam"):
        raise Invalid("must be key or iam")
    return text


API_VERSION = Text(r"^[0-9]{4}-[0-9]{2}$")
_ALL = float("inf")
_some = Text(least=1)
_VARIABLES = Schema(
    {
        required("HUBSPOT_BASE_URL"): _base_url,
        required("HUBSPOT_API_VERSIONS"): _listed(API_VERSION),
        required("PORTALS"): _listed(portal_name),
        required("TOKEN_SECRET_PREFIX"): _some,
        required("OUTCOMES_TABLE"): _some,
        required("OUTCOME_RETENTION_DAYS"): _number(int, 1, _ALL),
        required("BATCH_SIZE"): _number(int, 1, 2000),
        required("QUOTA_CALLS"): _number(int, 1, _ALL),
        required("HEAD_ROOM"): _number(float, 0, 0.999),
        required("QUEUE_URL"): _some,
        Optional("PORTAL_TIME_ZONES"): _zones,
        Optional("CLIENTS_SECRET"): str,
        Optional("AUTHORIZATION"): _authorization,
        Optional("PUBLIC_URL"): str,
    },
    extra=REMOVE_EXTRA,
)
