"""The settings of a deployment: context key `settings` in cdk.json, or all of it by `cdk … -c settings='<JSON>'`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Annotated, Any, Literal

from aws_cdk import RemovalPolicy
from voluptuous import Invalid, MultipleInvalid, Schema

from infra.checks import Misnamed, Number, json_name, names, record
from infra.settings_checks import (
    address_or_empty,
    https_or_empty,
    hubspot_url,
    kept_by_cloudwatch,
    listed,
    origin_or_empty,
    time_zones,
)
from model.contract import DEFAULT_PORTAL
from model.validation import Text, portal_name
from runtime.settings import API_VERSION, GIVE_UP_AFTER_HOURS, MISSING_SECRET_HOURS, RETENTION_DAYS

MAX_PORTALS = 50  # ours: these are the first ones, whose secrets the deployment makes; more come at run time
# Their names and time zones are in each function's environment, of which Lambda takes 4,096 characters as JSON:
# docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html. The rest of it needs up to 1,200.
MAX_PORTALS_TEXT = 2_800
MESSAGE_DAYS = 14  # for which SQS keeps a message


class ConfigurationError(ValueError):
    """Settings or files that cannot be deployed. `problems` says of each where it is and how to mend it."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """What the API's stage lets through, for all clients together; above it API Gateway answers 429."""

    # 10,000 and 5,000: API Gateway's default quota of a region, and its burst.
    rate_per_second: Annotated[float, Number(above=0, most=10_000, fraction=True)] = 20
    burst: Annotated[int, Number(1, 5_000)] = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """How the queue is drained. Bounds are those of Lambda's event source mapping for SQS."""

    messages_per_invocation: Annotated[int, Number(1, 10_000)] = 1_000
    batch_window_seconds: Annotated[int, Number(0, 300)] = 5
    maximum_concurrency: Annotated[int, Number(2, 1_000)] = 5
    timeout_seconds: Annotated[int, Number(20, 900)] = 120  # the handler keeps 8 seconds for itself
    # Until a message counts as one that kills its reader, and is run alone. A request that waits takes hardly any, as a
    # new message carries it on; fourteen a day where the ledger cannot be reached.
    max_receives: Annotated[int, Number(1, 1_000)] = 50

    def __post_init__(self) -> None:
        if self.messages_per_invocation > 10 and self.batch_window_seconds < 1:
            raise Invalid("messagesPerInvocation above 10 needs batchWindowSeconds of at least 1 (a rule of Lambda's)")


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaSettings:
    """HubSpot's limit on calls, for each portal. What HubSpot's own answers say of it counts more."""

    calls_per_10_seconds: Annotated[int, Number(1, 10_000)] = 100  # HubSpot's smallest
    head_room_percent: Annotated[float, Number(0, 95, fraction=True)] = 3  # left to other apps and to people who wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that a deployer decides. Keys are camelCase in cdk.json."""

    # A queue is named after the stack, and a queue's name has at most 80 characters.
    stack_name: Annotated[str, Text(r"^[A-Za-z][A-Za-z0-9-]{0,63}$")] = "HubSpotAssociationLimits"
    hubspot_base_url: Annotated[str, hubspot_url] = "https://api.hubapi.com"
    # The first is the one used when a request names none.
    api_versions: Annotated[tuple[str, ...], listed(API_VERSION, 1)] = ("2026-03",)
    portals: Annotated[tuple[str, ...], listed(portal_name, 1, MAX_PORTALS)] = (DEFAULT_PORTAL,)
    # Where a portal's day, and with it its daily quota, begins.
    time_zones: Annotated[Mapping[str, str], time_zones] = field(default_factory=dict)
    # Secrets Manager's alphabet, and its 512 characters less "/" and a portal's 63.
    secret_prefix: Annotated[str, Text(r"^[A-Za-z0-9+=.@_-]+(/[A-Za-z0-9+=.@_-]+)*$", most=448)] = (
        "hubspot-association-limits/portals"
    )
    outcome_retention_days: Annotated[int, Number(*RETENTION_DAYS)] = 400
    # How long HubSpot's reads may lag behind its writes: nothing that a reading within it shows ends in a refusal.
    read_lag_seconds: Annotated[int, Number(0, 3_600)] = 300
    # How long a request may wait for HubSpot, from when it was accepted; then it is FAILED, and can be replayed.
    give_up_after_hours: Annotated[int, Number(*GIVE_UP_AFTER_HOURS)] = 240
    # How long a portal's secret may be missing until the portal has ended.
    missing_secret_hours: Annotated[int, Number(*MISSING_SECRET_HOURS)] = 24
    log_retention_days: Annotated[int, kept_by_cloudwatch] = 90
    deletion_protection: bool = True
    # By which HubSpot reaches the API, where that is neither API Gateway's own address nor a domain name of it.
    public_url: Annotated[str, https_or_empty] = ""
    web_acl: bool = False  # what it costs: docs/security.md
    # `key`: Authorization: Bearer. `iam`: AWS's Signature Version 4, for callers within AWS; HubSpot cannot sign so.
    authorization: Literal["key", "iam"] = "key"
    # Only through these is the API reached then, and not from the internet; HubSpot cannot either.
    vpc_endpoints: Annotated[tuple[str, ...], listed(Text(r"^vpce-[0-9a-f]{8,17}$"))] = ()
    cors_origin: Annotated[str, origin_or_empty] = ""  # the one web site whose pages may call the API
    customer_managed_key: bool = False  # of all that is kept; without it, of the alarms' topic only
    alarm_email: Annotated[str, address_or_empty] = ""
    throttle: Throttle = Throttle()
    batch_size: Annotated[int, Number(1, 2_000)] = 100  # 2,000: the most of a neighbouring HubSpot batch endpoint
    quota: QuotaSettings = QuotaSettings()
    consumer: Consumer = Consumer()
    memory_mib: Annotated[int, Number(128, 10_240)] = field(default=512, metadata=json_name("memoryMiB"))
    architecture: Literal["arm64", "x86_64"] = "arm64"
    snap_start: bool = False  # what it costs and brings: docs/cold-start.md
    bundling: Literal["lambda", "host"] = "lambda"
    schedules: Annotated[tuple[str, ...], listed(Text())] = ()
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    def __post_init__(self) -> None:
        zones = [f"{portal}={zone}" for portal, zone in self.time_zones.items()]
        length = len(",".join([*self.portals, *zones]))
        if length > MAX_PORTALS_TEXT:
            raise Invalid(
                f"portals and timeZones are {length} characters together; must be at most {MAX_PORTALS_TEXT}, "
                "because Lambda takes no more; shorten names or deploy a second stack"
            )

        longest = self.give_up_after_hours / 24 + MESSAGE_DAYS
        if self.outcome_retention_days < longest:
            raise Invalid(
                f"outcomeRetentionDays must be at least {ceil(longest)}: a request waits for up to giveUpAfterHours "
                f"({self.give_up_after_hours}), and SQS keeps its last message for {MESSAGE_DAYS} days"
            )
        if f"{self.stack_name}/".startswith(f"{self.secret_prefix}/"):
            raise Invalid(
                f"secretPrefix must not be {json.dumps(self.secret_prefix)}: what is below it are portals, and the "
                f"secret {self.stack_name}/clients, which holds the API's clients, would be one"
            )

    @property
    def by_iam(self) -> bool:
        """Whether API Gateway checks who calls, by AWS's signature."""
        return self.authorization == "iam"

    @property
    def removal_policy(self) -> RemovalPolicy:
        """What becomes of data when it leaves the stack."""
        return RemovalPolicy.RETAIN if self.deletion_protection else RemovalPolicy.DESTROY


_settings = Schema(record(Settings, "a setting"))
_ORDER = {name: place for place, name in enumerate(names(Settings))}


def parse_settings(context: object) -> Settings:
    """Settings from the context value: an object from cdk.json, or JSON text from `-c`. Raises ConfigurationError."""
    if context is None:
        raise ConfigurationError(['settings: missing; add an object "settings" to the context in cdk.json'])
    try:
        # As JSON text in any case, so that strictness means JSON's types.
        given = json.loads(context if isinstance(context, str) else json.dumps(context))
    except ValueError as error:
        raise ConfigurationError([f"settings: is not valid JSON ({error})"]) from None
    errors: list[Invalid] = []
    try:
        settings: Settings = _settings(given)
    except MultipleInvalid as error:
        errors = error.errors
    wrong = [(error.path, _explained(error, given)) for error in errors] + list(_zones_of_no_portal(given, errors))
    if not wrong:
        return settings
    wrong.sort(key=lambda each: _ORDER.get(each[0][0] if each[0] else "", len(_ORDER)))
    raise ConfigurationError([f"{'.'.join(map(str, ['settings', *path]))}: {why}" for path, why in wrong])


def _zones_of_no_portal(given: Any, errors: list[Invalid]) -> Iterator[tuple[list[Any], str]]:
    if not isinstance(given, dict) or not isinstance(given.get("timeZones"), dict):
        return
    if any(error.path[:1] == ["portals"] for error in errors):
        return  # told in its place
    portals = given.get("portals", [DEFAULT_PORTAL])
    for name in given["timeZones"]:
        if name not in portals:
            advice = f"must be named after one of settings.portals ({', '.join(portals)}), not {json.dumps(name)}"
            yield ["timeZones", name], advice


def _explained(error: Invalid, given: Any) -> str:
    if isinstance(error, Misnamed):
        return str(error.msg)
    for part in error.path:
        given = given[part]
    return f"{error.msg}, not {json.dumps(given)}" if isinstance(given, str | int | float) else str(error.msg)
