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
from typing import Protocol

import boto3
from botocore.config import Config

from batch_create import settings as environment
from batch_create.contract import LimitInput, LimitKey
from batch_create.history import Filter, History, Page
from batch_create.hubspot import Answer, HubSpot, Pair
from batch_create.ledger import Claim, Ledger
from batch_create.locks import Locks
from batch_create.outcomes import Outcome, Request
from batch_create.queue import Queue
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


class LedgerPort(Protocol):
    """Claims and settlements, as `ledger.Ledger` writes them."""

    def claim(self, request: Request, now: datetime, lease_until: datetime) -> Claim: ...
    def settle(self, outcome: Outcome, fence: int) -> None: ...


class HistoryPort(Protocol):
    """Outcomes of the past, as `history.History` finds them."""

    def page(self, wanted: Filter) -> Page: ...


@dataclass(frozen=True)
class Ports:
    """What `run` works with. `clock` tells the time in UTC, `jitter` a number from 0 to 1, `zone` a portal's time zone;
    `sleep` takes seconds; `reached` is told each point that a worker passes."""

    ledger: LedgerPort
    history: HistoryPort
    hubspot: HubSpotPort
    tokens: TokenPort
    clock: Callable[[], datetime]
    jitter: Callable[[], float]
    zone: Callable[[str], tzinfo]
    sleep: Callable[[float], None]
    reached: Callable[[Point], None]
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
    return SecretStore(boto3.client("secretsmanager", config=_client_config()), now)


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
    return Queue(boto3.client("sqs", config=_client_config()), settings().queue_url)


@cache
def production() -> Ports:
    """The real ports, made once for each execution environment."""
    hubspot = HubSpot(settings().hubspot_base_url)
    version = settings().hubspot_api_versions[0]
    prefix = settings().token_secret_prefix
    return Ports(
        ledger=ledger(),
        history=history(),
        hubspot=hubspot,
        tokens=Tokens(secret_store(), prefix, hubspot, Locks(_table()), now, sleep, version),
        clock=now,
        jitter=random.random,
        zone=settings().zone,
        sleep=sleep,
        reached=lambda point: None,
        default_api_version=version,
        batch_size=settings().batch_size,
    )


@cache
def _table() -> Table:
    return Table(boto3.client("dynamodb", config=_client_config()), settings().outcomes_table)


def _client_config() -> Config:
    # boto3's defaults wait a minute for each try; within a gateway's 29 seconds a stuck connection must fail early.
    return Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})
