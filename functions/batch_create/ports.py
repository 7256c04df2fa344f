"""Everything that is not deterministic, as `run` sees it. A test or a simulation passes its own."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from functools import cache
from time import sleep
from typing import Any, Protocol

import botocore.session
from botocore.config import Config

from batch_create import settings as environment
from batch_create.budget import Budget
from batch_create.claims import Claim
from batch_create.contract import LimitInput, LimitKey
from batch_create.history import Filter, History, Page
from batch_create.hubspot import USER_AGENT, Answer, HubSpot, Pair
from batch_create.ledger import Ledger
from batch_create.locks import Locks
from batch_create.outcomes import Outcome, Request
from batch_create.pool import side_by_side
from batch_create.queue import Queue
from batch_create.quota import Quota
from batch_create.rates import Rates
from batch_create.secret_store import SecretStore
from batch_create.settings import Settings
from batch_create.table import Table
from batch_create.tokens import Tokens


class Point(StrEnum):
    """Where a worker can die with the most to lose. Production passes them by; tests kill at each."""

    BEFORE_CLAIM = "before claim"
    AFTER_CLAIM = "after claim"
    AFTER_TOKEN = "after token"
    BEFORE_SEND = "before send"
    AFTER_SEND = "after send"  # sent and not answered: reached in the transport that a test brings
    AFTER_ANSWER = "after answer"
    BEFORE_SETTLE = "before settle"
    AFTER_SETTLE = "after settle"


class HubSpotPort(Protocol):
    """HubSpot, as `hubspot.HubSpot` reaches it."""

    def batch_create(self, token: str, pair: Pair, inputs: Sequence[LimitInput], seconds: float) -> Answer: ...
    def read_pair(self, token: str, pair: Pair, seconds: float) -> dict[LimitKey, int | None]: ...


class TokenPort(Protocol):
    """Bearer tokens, as `tokens.Tokens` finds them."""

    def secret_of(self, portal: str) -> str: ...
    def bearer(self, portal: str, seconds: float, *, fresh: bool = False) -> str: ...


class BudgetPort(Protocol):
    """The shared quota, as `budget.Budget` hands it out."""

    def wait(self, portal: str, *, ahead: int, urgent: bool, until: datetime) -> None: ...
    def heard(self, portal: str, quota: Quota, at: datetime) -> None: ...
    def limited(self, portal: str, until: datetime, *, daily: bool) -> None: ...


class LedgerPort(Protocol):
    """Claims and settlements, as `ledger.Ledger` writes them."""

    def claim_new(
        self, requests: Sequence[Request], now: datetime, lease_until: datetime
    ) -> Sequence[Claim | None]: ...
    def claim(self, request: Request, now: datetime, lease_until: datetime, *, new: bool = True) -> Claim: ...
    def settle_many(self, settled: Sequence[tuple[Outcome, int]]) -> Sequence[bool]: ...
    def settle(self, outcome: Outcome, fence: int) -> None: ...


class HistoryPort(Protocol):
    """Outcomes of the past, as `history.History` finds them."""

    def page(self, wanted: Filter) -> Page: ...


@dataclass(frozen=True)
class Ports:
    """What `run` works with. `clock` tells the time in UTC, `jitter` a number from 0 to 1, `zone` a portal's time zone;
    `sleep` takes seconds; `reached` is told each point that a worker passes; `side_by_side` does jobs
    at the same time."""

    ledger: LedgerPort
    history: HistoryPort
    hubspot: HubSpotPort
    tokens: TokenPort
    budget: BudgetPort
    clock: Callable[[], datetime]
    jitter: Callable[[], float]
    zone: Callable[[str], tzinfo]
    sleep: Callable[[float], None]
    reached: Callable[[Point], None]
    side_by_side: Callable[[Sequence[Callable[[], None]]], None]
    default_api_version: str
    batch_size: int


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
    return SecretStore(_client("secretsmanager"), now)


@cache
def ledger() -> Ledger:
    """The ledger of this deployment."""
    return Ledger(_table(), timedelta(days=settings().outcome_retention_days))


@cache
def history() -> History:
    """The ledger of this deployment, for reading page by page."""
    return History(_table())


@cache
def queue() -> Queue:
    """The main queue of this deployment."""
    return Queue(_client("sqs"), settings().queue_url)


@cache
def rates() -> Rates:
    """What each client has asked for."""
    return Rates(_table())


@cache
def allowed_origin() -> str:
    """The one web site whose pages may call the API, or nothing. No part of `settings`: answers of a function whose
    settings are wrong need it, too."""
    return os.environ.get("CORS_ORIGIN", "")


@cache
def production() -> Ports:
    """The real ports, made once for each execution environment."""
    hubspot = HubSpot(settings().hubspot_base_url)
    version = settings().hubspot_api_versions[0]
    prefix = settings().token_secret_prefix
    budget = Budget(_table(), now, sleep, Quota(settings().quota_calls), settings().head_room)
    return Ports(
        ledger=ledger(),
        history=history(),
        hubspot=hubspot,
        tokens=Tokens(secret_store(), prefix, hubspot, Locks(_table()), budget, now, sleep, version),
        budget=budget,
        clock=now,
        jitter=random.random,
        zone=settings().zone,
        sleep=sleep,
        reached=lambda point: None,
        side_by_side=side_by_side,
        default_api_version=version,
        batch_size=settings().batch_size,
    )


@cache
def _table() -> Table:
    return Table(_client("dynamodb"), settings().outcomes_table)


def _client(service: str) -> Any:
    # boto3's defaults wait a minute for each try; within a gateway's 29 seconds a stuck connection must fail early.
    # What is sent is of one form each, and tested: to have it checked each time takes a sixth of a write's processor
    # time, and to put its user agent together anew a twentieth.
    config = Config(
        connect_timeout=2,
        read_timeout=5,
        retries={"mode": "standard", "total_max_attempts": 3},
        parameter_validation=False,
        user_agent=USER_AGENT,
    )
    return _session().create_client(service, config=config)


@cache
def _session() -> botocore.session.Session:
    # The part of boto3 that makes clients, without its resources and file transfers: docs/cold-start.md has the cost.
    # Every port is made at the first event: what was made before a snapshot would be in all environments restored from
    # it, as is the state of `random`, by which they would all wait for the same pauses.
    random.seed()
    return botocore.session.get_session()
