"""The settings of a deployment: context key `settings` in cdk.json, or all of it by `cdk … -c settings='<JSON>'`."""

from __future__ import annotations

import json
import re
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from aws_cdk import RemovalPolicy
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from infra.logs import RETENTION
from model.contract import DEFAULT_PORTAL, PortalName

LOOPBACK = {"127.0.0.1", "::1", "localhost"}
# Each portal's secret is named in a role's inline policies, and IAM takes 10,240 characters of those.
MAX_PORTALS = 50
# Their names and time zones are in each function's environment, of which Lambda takes 4,096 characters as JSON:
# docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html. The rest of it needs up to 1,200.
MAX_PORTALS_TEXT = 2_800


class ConfigurationError(ValueError):
    """Settings or files that cannot be deployed. `problems` says of each where it is and how to mend it."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def _hubspot_url(value: str) -> str:
    url = urlsplit(value)
    if url.scheme == "https" and url.hostname:
        return value.rstrip("/")
    if url.scheme == "http" and url.hostname in LOOPBACK:
        return value.rstrip("/")
    raise ValueError("must be an https URL such as https://api.hubapi.com; plain http is only for 127.0.0.1")


def _https_or_empty(value: str) -> str:
    url = urlsplit(value)
    if value and (url.scheme != "https" or not url.hostname or url.query or url.fragment):
        raise ValueError('must be an https URL without a query, such as https://limits.example.com, or ""')
    return value.rstrip("/")


def _origin_or_empty(value: str) -> str:
    # It becomes a header within quotes, so it is held to the letter.
    if value and not re.fullmatch(r"https://[a-z0-9.-]+(:\d{1,5})?", value):
        raise ValueError('must be one origin such as https://admin.example.com, without a path, or ""')
    return value


def _kept_by_cloudwatch(value: int) -> int:
    if value not in RETENTION:
        raise ValueError(
            f"must be one of the numbers of days CloudWatch Logs accepts: {', '.join(map(str, RETENTION))}"
        )
    return value


def _address_or_empty(value: str) -> str:
    if value and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", value):
        raise ValueError('must be one e-mail address, or "" for no e-mail')
    return value


def _some(values: tuple[str, ...]) -> tuple[str, ...]:
    if not values:
        raise ValueError("must name at least one")
    return _unique(values)


def _few(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(values) > MAX_PORTALS:
        raise ValueError(f"must name at most {MAX_PORTALS}, not {len(values)}; deploy a second stack for the others")
    return _some(values)


def _unique(values: tuple[str, ...]) -> tuple[str, ...]:
    repeated = sorted({value for value in values if values.count(value) > 1})
    if repeated:
        raise ValueError(f"must name each only once; repeated: {', '.join(repeated)}")
    return values


def known_time_zone(value: str) -> str:
    """The name unchanged, if it is an IANA time zone. Raises ValueError with what to write instead."""
    known = available_timezones()  # empty on a machine without time zone data: AWS then has the last word
    if known and value not in known:
        raise ValueError("is not a time zone; use an IANA name such as Europe/Berlin")
    return value


def _one_of_the_portals(value: str, info: ValidationInfo) -> str:
    portals = info.data.get("portals", (value,))  # absent where it is wrong itself, which is told in its place
    if value not in portals:
        raise ValueError(f"must be named after one of settings.portals ({', '.join(portals)})")
    return value


class _Section(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, strict=True)


class Throttle(_Section):
    """What the API's stage lets through, for all clients together; above it API Gateway answers 429."""

    rate_per_second: Annotated[float, Field(gt=0, le=10_000)] = 20  # 10,000: API Gateway's default quota of a region
    burst: Annotated[int, Field(ge=1, le=5_000)] = 40  # 5,000: the same quota's burst


class Consumer(_Section):
    """How the queue is drained. Bounds are those of Lambda's event source mapping for SQS."""

    messages_per_invocation: Annotated[int, Field(ge=1, le=10_000)] = 1_000
    batch_window_seconds: Annotated[int, Field(ge=0, le=300)] = 5
    maximum_concurrency: Annotated[int, Field(ge=2, le=1_000)] = 5
    timeout_seconds: Annotated[int, Field(ge=10, le=900)] = 120  # the handler keeps 5 seconds for itself
    # SQS's maximum. Waiting takes none, each real try takes one, and the pauses between tries go up to 15 minutes: some
    # ten days of an outage until a request is given up, within the 14 that a message lives.
    max_receives: Annotated[int, Field(ge=1, le=1_000)] = 1_000

    @model_validator(mode="after")
    def _large_batches_wait(self) -> Self:
        if self.messages_per_invocation > 10 and self.batch_window_seconds < 1:
            raise ValueError(
                "messagesPerInvocation above 10 needs batchWindowSeconds of at least 1 (a rule of Lambda's)"
            )
        return self


class Quota(_Section):
    """HubSpot's limit on calls, for each portal. What HubSpot's own answers say of it counts more."""

    calls_per_10_seconds: Annotated[int, Field(ge=1, le=10_000, alias="callsPer10Seconds")] = 100  # HubSpot's smallest
    head_room_percent: Annotated[float, Field(ge=0, le=95)] = 3  # left to other apps and to people who wait


class Settings(_Section):
    """All that a deployer decides. Keys are camelCase in cdk.json."""

    # A queue is named after the stack, and a queue's name has at most 80 characters.
    stack_name: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$")] = "HubSpotAssociationLimits"
    hubspot_base_url: Annotated[str, AfterValidator(_hubspot_url)] = "https://api.hubapi.com"
    # The first is the one used when a request names none.
    api_versions: Annotated[tuple[Annotated[str, Field(pattern=r"^\d{4}-\d{2}$")], ...], AfterValidator(_some)] = (
        "2026-03",
    )
    portals: Annotated[tuple[PortalName, ...], AfterValidator(_few)] = (DEFAULT_PORTAL,)
    # Where a portal's day, and with it its daily quota, begins. Checked against the portals above, so it stands below.
    time_zones: dict[
        Annotated[str, AfterValidator(_one_of_the_portals)], Annotated[str, AfterValidator(known_time_zone)]
    ] = {}
    # Secrets Manager's alphabet, and its 512 characters less "/" and a portal's 63.
    secret_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9+=.@_-]+(/[A-Za-z0-9+=.@_-]+)*$", max_length=448)] = (
        "hubspot-association-limits/portals"
    )
    outcome_retention_days: Annotated[int, Field(ge=1)] = 400
    log_retention_days: Annotated[int, AfterValidator(_kept_by_cloudwatch)] = 90
    deletion_protection: bool = True
    # By which HubSpot reaches the API, where that is neither API Gateway's own address nor a domain name of it.
    public_url: Annotated[str, AfterValidator(_https_or_empty)] = ""
    web_acl: bool = False  # what it costs: docs/security.md
    # `key`: Authorization: Bearer. `iam`: AWS's Signature Version 4, for callers within AWS; HubSpot cannot sign so.
    authorization: Literal["key", "iam"] = "key"
    # Only through these is the API reached then, and not from the internet; HubSpot cannot either.
    vpc_endpoints: Annotated[
        tuple[Annotated[str, Field(pattern=r"^vpce-[0-9a-f]{8,17}$")], ...], AfterValidator(_unique)
    ] = ()
    cors_origin: Annotated[str, AfterValidator(_origin_or_empty)] = ""  # the one web site whose pages may call the API
    customer_managed_key: bool = False  # of all that is kept; without it, of the alarms' topic only
    alarm_email: Annotated[str, AfterValidator(_address_or_empty)] = ""
    throttle: Throttle = Throttle()
    batch_size: Annotated[int, Field(ge=1, le=2_000)] = 100  # 2,000: the most of a neighbouring HubSpot batch endpoint
    quota: Quota = Quota()
    consumer: Consumer = Consumer()
    memory_mib: Annotated[int, Field(ge=128, le=10_240, alias="memoryMiB")] = 512
    architecture: Literal["arm64", "x86_64"] = "arm64"
    snap_start: bool = False  # what it costs and brings: docs/cold-start.md
    bundling: Literal["lambda", "host"] = "lambda"
    schedules: Annotated[tuple[str, ...], AfterValidator(_unique)] = ()
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @model_validator(mode="after")
    def _portals_fit_an_environment(self) -> Self:
        zones = [f"{portal}={zone}" for portal, zone in self.time_zones.items()]
        length = len(",".join([*self.portals, *zones]))
        if length > MAX_PORTALS_TEXT:
            raise ValueError(
                f"portals and timeZones are {length} characters together; must be at most {MAX_PORTALS_TEXT}, "
                "because Lambda takes no more; shorten names or deploy a second stack"
            )
        return self

    @property
    def by_iam(self) -> bool:
        """Whether API Gateway checks who calls, by AWS's signature."""
        return self.authorization == "iam"

    @property
    def removal_policy(self) -> RemovalPolicy:
        """What becomes of data when it leaves the stack."""
        return RemovalPolicy.RETAIN if self.deletion_protection else RemovalPolicy.DESTROY


def parse_settings(context: object) -> Settings:
    """Settings from the context value: an object from cdk.json, or JSON text from `-c`. Raises ConfigurationError."""
    if context is None:
        raise ConfigurationError(['settings: missing; add an object "settings" to the context in cdk.json'])
    try:
        # As JSON text in any case, so that strictness means JSON's types: 5 is no string and "5" no number.
        return Settings.model_validate_json(context if isinstance(context, str) else json.dumps(context))
    except ValidationError as error:
        raise ConfigurationError(
            [_explained(detail) for detail in error.errors(include_url=False, include_input=True)]
        ) from None


_ADVICE = {
    "json_invalid": "is not valid JSON ({error})",
    "model_type": "must be an object",
    "dict_type": "must be an object",
    "string_type": "must be text",
    "string_pattern_mismatch": "must match {pattern}",
    "int_type": "must be a whole number, without quotes",
    "float_type": "must be a number, without quotes",
    "bool_type": "must be true or false, without quotes",
    "tuple_type": "must be a list",
    "literal_error": "must be {expected}",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "value_error": "{error}",
}


def _explained(detail: ErrorDetails) -> str:
    # Pydantic puts "[key]" behind the key of an object where the key itself is wrong.
    path = ".".join(["settings", *(str(part) for part in detail["loc"] if part != "[key]")])
    if detail["type"] == "extra_forbidden":
        return f"{path}: is not a setting; {_nearest(detail['loc'])}"
    advice = _ADVICE.get(detail["type"])
    message = advice.format(**detail.get("ctx", {})) if advice else detail["msg"]
    given: Any = detail["input"]
    return f"{path}: {message}" + (f", not {json.dumps(given)}" if isinstance(given, str | int | float) else "")


def _nearest(location: tuple[int | str, ...]) -> str:
    sections: dict[tuple[int | str, ...], type[_Section]] = {
        (): Settings,
        ("throttle",): Throttle,
        ("quota",): Quota,
        ("consumer",): Consumer,
    }
    known = [str(field.alias) for field in sections[location[:-1]].model_fields.values()]
    close = get_close_matches(str(location[-1]), known, n=1)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
