"""The environment of a function, parsed once; all that is wrong is reported together."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, tzinfo
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from model.contract import PortalName

LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class SettingsError(Exception):
    """The environment lacks something or holds something wrong; the message names every variable at fault."""


def _split(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _zones(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return {portal: ZoneInfo(name) for portal, _, name in (part.partition("=") for part in _split(value))}
    except (ValueError, LookupError, OSError) as error:
        raise ValueError(f"must be portal=Area/City, joined by commas ({error})") from None


class Settings(BaseModel):
    """What a deployment decides. Names are those of the environment variables, in lower case."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    hubspot_base_url: str
    # Dated, one each March and September; the first is the one used when a request names none.
    hubspot_api_versions: Annotated[
        tuple[Annotated[str, Field(pattern=r"^\d{4}-\d{2}$")], ...],
        BeforeValidator(_split),
        Field(min_length=1),
    ]
    portals: Annotated[tuple[PortalName, ...], BeforeValidator(_split), Field(min_length=1)]
    token_secret_prefix: Annotated[str, Field(min_length=1)]
    outcomes_table: Annotated[str, Field(min_length=1)]
    outcome_retention_days: Annotated[int, Field(ge=1)]
    batch_size: Annotated[int, Field(ge=1, le=2000)]
    quota_calls: Annotated[int, Field(ge=1)]  # per ten seconds; what HubSpot's answers say counts more
    head_room: Annotated[float, Field(ge=0, lt=1)]  # of the quota, for other apps and for people who wait
    queue_url: Annotated[str, Field(min_length=1)]
    portal_time_zones: Annotated[dict[str, ZoneInfo], BeforeValidator(_zones)] = {}
    clients_secret: str = ""  # only the webhook has callers to know
    authorization: Literal["key", "iam"] = "key"  # by what callers are known
    public_url: str = ""  # by which callers reach the API, where it is not API Gateway's own address

    def zone(self, portal: str) -> tzinfo:
        """The time zone of a portal's account, at whose midnight its daily quota is full again; UTC if not set."""
        return self.portal_time_zones.get(portal, UTC)

    @field_validator("hubspot_base_url")
    @classmethod
    def _never_send_a_token_in_clear(cls, value: str) -> str:
        url = urlsplit(value)
        if url.scheme != "https" and not (url.scheme == "http" and url.hostname in LOOPBACK):
            raise ValueError("must be an https URL (plain http only on loopback)")
        return value.rstrip("/")


def load(environment: Mapping[str, str]) -> Settings:
    """Settings from environment variables. Raises SettingsError."""
    values = {name: environment[name.upper()] for name in Settings.model_fields if name.upper() in environment}
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        wrong = [f"{str(detail['loc'][0]).upper()}: {detail['msg']}" for detail in error.errors(include_input=False)]
        raise SettingsError("set these environment variables right: " + "; ".join(wrong)) from None
