"""The composition root: the only place that knows every adapter. Each is made once, at the first event."""

from __future__ import annotations

import os
import random
from datetime import UTC, datetime, timedelta
from functools import cache
from time import sleep
from typing import TYPE_CHECKING, Any

from boto3.session import Session
from botocore.config import Config

from aws.dynamodb import Table
from ledger.ledger import Ledger
from model.version import USER_AGENT
from runtime import settings as environment

if TYPE_CHECKING:
    from api.authentication import Authentication
    from aws.secrets_manager import SecretStore
    from aws.sqs import Queue
    from batch_create.dependencies import Dependencies
    from hubspot_api.object_types import ObjectTypes
    from ledger.gates import Gates
    from ledger.history import History
    from ledger.leases import Leases
    from ledger.portals import PortalRegistry
    from runtime.settings import Settings
    from tokens.portals import Portals

# An adapter that only some entry points need is imported where it is made: `sweep` loads nothing that it does not use.


def now() -> datetime:
    """The time in UTC."""
    return datetime.now(UTC)


@cache
def settings() -> Settings:
    """The settings of this function. Raises SettingsError, naming all that is wrong with its environment."""
    return environment.load(os.environ)


@cache
def secret_store() -> SecretStore:
    """The one memory of secrets of this function."""
    from aws.secrets_manager import SecretStore

    return SecretStore(client("secretsmanager"), now)


@cache
def ledger() -> Ledger:
    """The ledger of this deployment."""
    return Ledger(_table(), timedelta(days=settings().outcome_retention_days))


@cache
def leases() -> Leases:
    """The leases of this deployment's pairs."""
    from ledger.leases import Leases
    from ledger.rebuild import Rebuild

    known = settings()
    retention, lag = timedelta(days=known.outcome_retention_days), timedelta(seconds=known.read_lag_seconds)
    return Leases(_table(), retention, lag, Rebuild(_table(), history(), lag))


@cache
def gates() -> Gates:
    """The gates of this deployment's portals."""
    from ledger.gates import Gates

    return Gates(_table())


@cache
def history() -> History:
    """The ledger of this deployment, for reading page by page."""
    from ledger.history import History

    return History(_table())


@cache
def portal_registry() -> PortalRegistry:
    """The portals that this deployment has worked for."""
    from ledger.portals import PortalRegistry

    return PortalRegistry(_table())


@cache
def portals() -> Portals:
    """The portals that requests are taken for."""
    from tokens.portals import Portals

    known = settings()
    missed_for = timedelta(hours=known.missing_secret_hours)
    return Portals(secret_store(), known.token_secret_prefix, portal_registry(), now, missed_for)


@cache
def queue() -> Queue:
    """The main queue of this deployment."""
    from aws.sqs import Queue

    return Queue(client("sqs"), settings().queue_url)


@cache
def authentication() -> Authentication:
    """How callers of the API are recognised."""
    from api.authentication import Authentication
    from ledger.client_rates import ClientRates

    return Authentication(settings(), secret_store(), portals(), ClientRates(_table()))


@cache
def production() -> Dependencies:
    """What `run` works with on AWS."""
    from batch_create.dependencies import Dependencies
    from hubspot_api.client import HubSpot
    from model.quota import Quota
    from quota.shared_quota import SharedQuota
    from runtime.concurrency import side_by_side
    from tokens.access_tokens import AccessTokens
    from tokens.oauth_refresh import PACE
    from tokens.provider import TokenProvider

    known = settings()
    hubspot, version = HubSpot(known.hubspot_base_url), known.hubspot_api_versions[0]
    quota = SharedQuota(_table(), now, sleep, Quota(known.quota_calls), known.head_room)
    pace = SharedQuota(_table(), now, sleep, PACE, 0)
    access_tokens = AccessTokens(Table(_dynamodb(), known.access_tokens_table), now)
    tokens = TokenProvider(secret_store(), portals(), hubspot, access_tokens, quota, pace, now, sleep, version)
    return Dependencies(
        ledger=ledger(),
        leases=leases(),
        gates=gates(),
        object_types=object_types(),
        hubspot=hubspot,
        tokens=tokens,
        quota=quota,
        clock=now,
        jitter=random.random,
        new_id=lambda: f"{random.getrandbits(64):x}",
        zone=lambda portal: tokens.zone(portal) or known.zone(portal),
        sleep=sleep,
        reached=lambda point: None,
        side_by_side=side_by_side,
        default_api_version=version,
        batch_size=known.batch_size,
        give_up_after=timedelta(hours=known.give_up_after_hours),
    )


@cache
def object_types() -> ObjectTypes:
    """What object types names stand for. HubSpot is asked with what `run` works with."""
    from batch_create.authorised_call import AuthorisedCalls
    from hubspot_api.object_types import ObjectTypes
    from ledger.object_types import TypeMemory

    return ObjectTypes(TypeMemory(_table()), lambda deadline: AuthorisedCalls(production(), deadline, urgent=True), now)


@cache
def _table() -> Table:
    return Table(_dynamodb(), settings().outcomes_table)


@cache
def _dynamodb() -> Any:
    return client("dynamodb")


def client(service: str) -> Any:
    """An AWS client that waits no longer than fits a function."""
    # boto3's defaults wait a minute for each try; within a gateway's 29 seconds a stuck connection must fail early.
    # Tests check the form of all parameters: to check them at each call takes a sixth of a write's processor time, and
    # to make a new user agent for each a twentieth.
    config = Config(
        connect_timeout=2,
        read_timeout=5,
        retries={"mode": "standard", "total_max_attempts": 3},
        parameter_validation=False,
        user_agent=USER_AGENT,
    )
    make: Any = session().client  # typed for each service's name alone, and not for a name that is handed on
    return make(service, config=config)


@cache
def session() -> Session:
    """The one session of this function."""
    # Every adapter is made at the first event: one made before a snapshot would be in all environments restored from
    # it. So would the state of `random`, and all of them would pause alike.
    random.seed()
    return Session()
