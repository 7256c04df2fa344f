"""The service as it is deployed: its real entry points, each in execution environments with a memory of their own."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import requests
from aws_lambda_powertools.event_handler.api_gateway import BaseRouter

from api import response
from aws import dynamodb, sqs
from batch_create import order, settling
from quota import shared_quota

# Powertools reads these when the functions are imported.
os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "simulation")
os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "simulation")


import consumer
import dead_letters
import dispatcher
import scheduled
import sweep
import webhook
from api.authentication import Authentication
from aws.dynamodb import Table
from aws.secrets_manager import SecretStore
from aws.sqs import Queue
from batch_create.authorised_call import AuthorisedCalls
from batch_create.dependencies import Dependencies
from batch_create.ports import Point
from hubspot_api.client import HubSpot
from hubspot_api.object_types import ObjectTypes
from ledger.client_rates import ClientRates
from ledger.gates import Gates
from ledger.history import History
from ledger.leases import Leases
from ledger.ledger import Ledger
from ledger.object_types import TypeMemory
from ledger.portals import PortalRegistry
from ledger.rebuild import Rebuild
from model.quota import Quota
from quota.shared_quota import SharedQuota
from runtime.settings import Settings, load
from runtime.telemetry import count, logger, measure
from tests.simulation.transport import BASE_URL
from tests.simulation.world import Killed, Worker, World
from tokens.access_tokens import AccessTokens
from tokens.oauth_refresh import PACE
from tokens.portals import Portals
from tokens.provider import TokenProvider

NO_METRICS = "POWERTOOLS_METRICS_DISABLED"  # Powertools looks at each flush
PREFIX = "tokens"
CLIENTS = "clients"
ENTRY_POINTS = {
    "webhook": webhook.handler,
    "consumer": consumer.handler,
    "scheduled": scheduled.handler,
    "dead_letters": dead_letters.handler,
    "sweep": sweep.handler,
    "dispatcher": dispatcher.handler,
}
PORTS = (
    "settings",
    "secret_store",
    "ledger",
    "history",
    "leases",
    "gates",
    "queue",
    "authentication",
    "portals",
    "portal_registry",
    "production",
    "object_types",
    "now",
)


@dataclasses.dataclass
class Clients:
    """AWS and HubSpot, as every environment reaches them."""

    dynamodb: Any
    access_tokens: Any
    sqs: Any
    secrets: Any
    session: requests.Session


class Environment:
    """An execution environment: what a function keeps in memory from one invocation to the next. Its clock is wrong by
    `skew` seconds, always the same."""

    def __init__(
        self, world: World, clients: Clients, settings: Settings, reached: Callable[[Point], None], skew: float = 0
    ) -> None:
        def clock() -> datetime:
            return world.clock() + timedelta(seconds=skew)

        self.settings = settings
        self.now = clock
        self.secret_store = SecretStore(clients.secrets, clock)
        outcomes = Table(clients.dynamodb, settings.outcomes_table)
        self.ledger = Ledger(outcomes, timedelta(days=settings.outcome_retention_days))
        self.history = History(outcomes, world.side_by_side)
        lag = timedelta(seconds=settings.read_lag_seconds)
        retention = timedelta(days=settings.outcome_retention_days)
        self.leases = Leases(outcomes, retention, lag, Rebuild(outcomes, self.history, lag, world.new_lock))
        self.gates = Gates(outcomes)
        self.portal_registry = PortalRegistry(outcomes)
        missed_for = timedelta(hours=settings.missing_secret_hours)
        self.portals = Portals(self.secret_store, PREFIX, self.portal_registry, clock, missed_for)
        self.authentication = Authentication(settings, self.secret_store, self.portals, ClientRates(outcomes))
        self.queue = Queue(clients.sqs, settings.queue_url)
        hubspot = HubSpot(settings.hubspot_base_url, clients.session)
        quota = SharedQuota(
            outcomes,
            clock,
            world.wait,
            Quota(settings.quota_calls),
            settings.head_room,
            new_lock=world.new_lock,
        )
        pace = SharedQuota(outcomes, clock, world.wait, PACE, 0, new_lock=world.new_lock)
        self.object_types = ObjectTypes(
            TypeMemory(outcomes), lambda deadline: AuthorisedCalls(self.production, deadline, urgent=True), world.clock
        )
        self.production = Dependencies(
            ledger=self.ledger,
            leases=self.leases,
            gates=self.gates,
            object_types=self.object_types,
            hubspot=hubspot,
            tokens=TokenProvider(
                self.secret_store,
                self.portals,
                hubspot,
                AccessTokens(Table(clients.access_tokens, settings.access_tokens_table), clock),
                quota,
                pace,
                clock,
                world.wait,
                settings.hubspot_api_versions[0],
                new_id=world.new_id,
                jitter=world.random.random,
                new_lock=world.new_lock,
            ),
            quota=quota,
            clock=clock,
            jitter=world.random.random,
            new_id=world.new_id,
            zone=lambda portal: self.production.tokens.zone(portal) or settings.zone(portal),
            sleep=world.wait,
            reached=reached,
            side_by_side=world.side_by_side,
            default_api_version=settings.hubspot_api_versions[0],
            batch_size=settings.batch_size,
            give_up_after=timedelta(hours=settings.give_up_after_hours),
        )


class Context:
    """Lambda's context, for an invocation that must end at a moment."""

    function_name = "function"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:function"

    def __init__(self, world: World, ends_at: float) -> None:
        self._world = world
        self._ends_at = ends_at
        self.aws_request_id = world.new_id()

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._ends_at - self._world.now) * 1000))


class Functions:
    """Invokes entry points in workers, in an environment that is free or in a new one."""

    running: Functions  # whose environments the entry points find now

    def __init__(self, world: World, make: Callable[[], Environment]) -> None:
        self._world = world
        self._make = make
        self._idle: dict[str, list[Environment]] = {name: [] for name in ENTRY_POINTS}
        self._used: dict[str, Environment] = {}
        self._in_hand: dict[str, Any] = {}
        self.failures: list[tuple[str, Exception]] = []
        world.swap_in, world.swap_out = self.swap_in, self.swap_out
        Functions.running = self

    def environment(self) -> Environment:
        """The environment of the worker whose turn it is."""
        worker = self._world.current
        assert worker is not None
        return self._used[worker.name]

    def swap_in(self, worker: Worker) -> None:
        """Powertools keeps the event in hand in its router's class, which here several environments share."""
        BaseRouter.current_event, BaseRouter.lambda_context = self._in_hand.get(worker.name, (None, None))

    def swap_out(self, worker: Worker) -> None:
        """Keep for a worker what it has in hand while others have their turn."""
        self._in_hand[worker.name] = (
            getattr(BaseRouter, "current_event", None),
            getattr(BaseRouter, "lambda_context", None),
        )

    def invoke(self, name: str, event: Any, seconds: float, done: Callable[[Any], None]) -> None:
        """Invoke a function; `done` is told its answer, or None where it failed, was killed or took too long."""
        world = self._world
        idle = self._idle[name]
        # A cold start now and then, as when AWS recycles environments: memory must not matter.
        environment = idle.pop() if idle and not world.chance(0.1) else self._make()
        context = Context(world, world.now + seconds)

        def job() -> Any:
            try:
                answer = ENTRY_POINTS[name](event, context)
            except Killed:
                raise
            except Exception as error:  # noqa: BLE001 # Lambda reports any of them as a failed invocation
                world.note("failed", name, type(error).__name__)
                self.failures.append((name, error))
                return None
            return answer

        def ended(answer: Any) -> None:
            if answer is not None:
                idle.append(self._used[worker.name])
            done(answer)

        worker = world.spawn(name, job, ended)
        self._used[worker.name] = environment
        worker.ends_at = world.now + seconds
        world.at(worker.ends_at, worker.kill)


def _remembering(deserialise: Callable[[Any], dict[str, Any]]) -> Callable[[Any], dict[str, Any]]:
    """The same, but once for each item that the simulated table keeps: half of all the time goes into it otherwise."""
    known: dict[str, tuple[Any, dict[str, Any]]] = {}

    def remembered(item: Any) -> dict[str, Any]:
        if "id" not in item:  # where a condition was not met by nothing
            return deserialise(item)
        key = item["id"]["S"]
        if key not in known or known[key][0] is not item:
            known[key] = (item, deserialise(item))
        return dict(known[key][1])

    return remembered


def _count_nothing(*_: object, **dimensions: str) -> None:
    """Metrics are lines on standard output, and here nobody reads those either."""


def _dispatch(port: str) -> Callable[[], Any]:
    if port == "now":
        return lambda: Functions.running.environment().now()
    return lambda: getattr(Functions.running.environment(), port)


@contextmanager
def installed() -> Iterator[None]:
    """Let the entry points find their ports in the running simulation."""
    modules = (webhook, consumer, scheduled, dead_letters, sweep, dispatcher)
    found = [(module, port, getattr(module, port)) for module in modules for port in PORTS if hasattr(module, port)]
    level = logger.log_level
    logger.setLevel("CRITICAL")  # some hundred thousand lines that nobody reads
    os.environ[NO_METRICS] = "true"
    for module, port, _ in found:
        setattr(module, port, _dispatch(port))
    found.append((dynamodb, "deserialise", dynamodb.deserialise))
    vars(dynamodb)["deserialise"] = _remembering(dynamodb.deserialise)
    for module in (settling, order, shared_quota, dead_letters, sweep, response, sqs):
        found.append((module, "count", count))
        vars(module)["count"] = _count_nothing
    found.append((sweep, "measure", measure))
    vars(sweep)["measure"] = _count_nothing
    try:
        yield
    finally:
        for module, port, own in found:
            setattr(module, port, own)
        logger.setLevel(level)
        del os.environ[NO_METRICS]


def settings(zones: dict[str, tzinfo], max_batch: int, quota: int, give_up_after: int) -> Settings:
    """The environment variables of all functions."""
    named = ",".join(f"{portal}={zone.key}" for portal, zone in zones.items() if isinstance(zone, ZoneInfo))
    return load(
        {
            "HUBSPOT_BASE_URL": BASE_URL,
            "HUBSPOT_API_VERSIONS": "2026-03,2026-09",
            "PORTALS": "default,acme",
            "TOKEN_SECRET_PREFIX": PREFIX,
            "OUTCOMES_TABLE": "outcomes",
            "ACCESS_TOKENS_TABLE": "tokens",
            "OUTCOME_RETENTION_DAYS": "400",
            "BATCH_SIZE": str(max_batch),
            "GIVE_UP_AFTER_HOURS": str(give_up_after),
            "QUOTA_CALLS": str(quota),
            "HEAD_ROOM": "0.03",
            "QUEUE_URL": "queue",
            "CLIENTS_SECRET": CLIENTS,
            "PORTAL_TIME_ZONES": named,
        }
    )
