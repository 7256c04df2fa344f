"""Dependencies that tests set the scene with: a clock that is told the time, a HubSpot with a script, tokens."""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import count
from typing import Any

from aws.dynamodb import Table
from aws.sqs import Carried
from batch_create.dependencies import Dependencies
from batch_create.handler import run
from hubspot_api.client import Answer
from hubspot_api.retry_policy import rule
from ledger.gates import Gates
from ledger.history import History
from ledger.leases import Leases
from ledger.ledger import Ledger
from ledger.rebuild import Rebuild
from model.contract import LimitInput, LimitKey
from model.errors import HubSpotFailure, QueueUnavailable, Refused
from model.hubspot_answer import batch_answer
from model.object_types import object_type_id
from model.outcomes import Outcome, Request, Trigger
from model.pair import Address, Pair
from model.quota import Quota
from model.validation import parse_envelope
from tests.simulation.dynamo import Dynamo

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
PAIR = Pair("0-3", "0-1")  # deals to contacts: of every request here that names no other
WORKERS = count(1)  # no two workers have one name, whoever's they are
Reply = Answer | HubSpotFailure
Limits = dict[LimitKey, int | None]


class Clock:
    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


def answer(
    results: Sequence[dict[str, Any]] = (), http_status: int = 201, correlation_id: str = "c-1", **rest: Any
) -> Answer:
    """A 2xx of batch create with these `results`."""
    body = {"status": "COMPLETE", "startedAt": "2026-11-23T09:00:00Z", "completedAt": "2026-11-23T09:00:00Z"}
    text = json.dumps({**body, "results": list(results), **rest})
    return Answer(http_status, text, correlation_id, batch_answer(json.loads(text)))


def failed(status: int, message: str | None = None, **rest: Any) -> HubSpotFailure:
    """What the HTTP client raises for a status that is not 2xx: by the table in retry_policy.py, in HubSpot's shape."""
    asked = rule(status)
    said = message or f"HubSpot answered {status}"
    told = {
        "body": json.dumps({"status": "error", "message": said}),
        "correlation_id": f"c-{status}",
        "retry_after": asked.floor or None,
        "portal_wide": asked.portal_wide,
        **rest,
    }
    return asked.failure(said, http_status=status, **told)


def key(type_id: int) -> LimitKey:
    """What names the limit of a HUBSPOT_DEFINED type."""
    return ("HUBSPOT_DEFINED", type_id)


def echo(item: LimitInput, number: int | None = None) -> dict[str, Any]:
    """The row of `results` by which HubSpot confirms an input."""
    shown = item.max_to_object_ids if number is None else number
    return {
        "category": item.category.value,
        "typeId": item.type_id,
        "label": None,
        "userEnforcedMaxToObjectIds": shown,
    }


@dataclass
class FakeHubSpot:
    """Keeps limits by their pairs, however these are spelt, and answers creates by a script of `replies`; when that is
    empty it applies and echoes everything.

    A reply that is a function sees the inputs; `applies` says whether a failing create takes effect all the same.
    Reads are answered by a script too, and from what is kept when that is empty. `calls` has the order of both.
    `types` has the ids of custom types by their names, or why HubSpot does not give one; any other name is a 404.
    """

    replies: list[Reply | Callable[[Sequence[LimitInput]], Reply]] = field(default_factory=list)
    reads: list[HubSpotFailure | Limits | Callable[[], Limits]] = field(default_factory=list)
    applies: bool = False
    state: dict[Pair, Limits] = field(default_factory=dict)
    created: list[tuple[Address, tuple[LimitInput, ...]]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    read_count: int = 0
    calls: list[str] = field(default_factory=list)
    types: dict[str, str | HubSpotFailure] = field(default_factory=dict)
    types_asked: list[str] = field(default_factory=list)

    @property
    def limits(self) -> Limits:
        """What is set for PAIR."""
        return self.state.setdefault(PAIR, {})

    @property
    def sent(self) -> list[list[int]]:
        """The type ids in each create."""
        return [[item.type_id for item in inputs] for _, inputs in self.created]

    def batch_create(self, token: str, pair: Address, inputs: Sequence[LimitInput], seconds: float) -> Answer:
        self.tokens.append(token)
        self.calls.append("create")
        self.created.append((pair, tuple(inputs)))
        limits = self.state.setdefault(self._pair(pair), {})
        if not self.replies:
            limits.update({item.key: item.max_to_object_ids for item in inputs})
            return answer([echo(item) for item in inputs])
        reply = self.replies.pop(0)
        if not isinstance(reply, Answer | HubSpotFailure):
            reply = reply(inputs)
        if isinstance(reply, HubSpotFailure):
            if self.applies:
                limits.update({item.key: item.max_to_object_ids for item in inputs})
            raise reply
        rows = reply.body.results
        limits.update({(r.category or "", r.type_id or 0): r.user_enforced_max_to_object_ids for r in rows})
        return reply

    def read_pair(self, token: str, pair: Address, seconds: float) -> Limits:
        self.read_count += 1
        self.calls.append("read")
        if self.reads:
            read = self.reads.pop(0)
            if isinstance(read, HubSpotFailure):
                raise read
            return read() if callable(read) else read
        return dict(self.state.get(self._pair(pair), {}))

    def object_type(self, token: str, api_version: str, name: str, seconds: float) -> str:
        assert api_version == "2026-03"
        self.tokens.append(token)
        self.types_asked.append(name)
        known = self.types.get(name, failed(404))
        if isinstance(known, HubSpotFailure):
            raise known
        return known

    def _pair(self, address: Address) -> Pair:
        def type_id(name: str) -> str:
            custom = self.types.get(name)
            return object_type_id(name) or (custom if isinstance(custom, str) else name)

        return Pair(type_id(address.from_object_type), type_id(address.to_object_type))


@dataclass
class PickyHubSpot(FakeHubSpot):
    """Refuses a batch as a whole as soon as one of its inputs is `bad`, in words about the first such input."""

    bad: Container[int] = frozenset()  # type ids

    def batch_create(self, token: str, pair: Address, inputs: Sequence[LimitInput], seconds: float) -> Answer:
        if refused := [item.type_id for item in inputs if item.type_id in self.bad]:
            self.replies = [failed(400, f"typeId {refused[0]} is bad")]
        return super().batch_create(token, pair, inputs, seconds)


class FakeQueue:
    """Stands for the queue, and remembers which requests were sent on and which messages were hidden, for how long."""

    def __init__(self) -> None:
        self.sent_on: dict[str, timedelta] = {}
        self.hidden: dict[str, timedelta] = {}
        self.pairs: list[tuple[str, str, timedelta]] = []
        self.broken = False

    def hand_over(
        self, carried: Sequence[Carried], now: datetime, has_time: Callable[[], bool] = lambda: True
    ) -> list[bool]:
        taken = has_time() and not self.broken
        if taken:
            self.sent_on |= {each.request.id: each.not_before - now for each in carried}
        return [taken] * len(carried)

    def send_open(self, portal: str, pairs: Sequence[str], delay: timedelta = timedelta()) -> None:
        if self.broken:
            raise QueueUnavailable("no queue")
        self.pairs += [(portal, pair, delay) for pair in pairs]

    def postpone(self, waiting: dict[str, datetime], now: datetime) -> None:
        if self.broken:
            raise QueueUnavailable("no queue")
        self.hidden |= {handle: until - now for handle, until in waiting.items()}


def in_turn(jobs: Sequence[Callable[[], None]]) -> None:
    """Jobs one after the other, so that a test knows their order."""
    for job in jobs:
        job()


@dataclass
class FakeQuota:
    """Enough for everybody; `told` has what it was told."""

    told: list[tuple[Any, ...]] = field(default_factory=list)

    def reserve(self, portal: str, *, ahead: int, urgent: bool, until: datetime) -> None:
        self.told.append(("wait", portal, ahead, urgent))

    def observe(self, portal: str, quota: Quota, at: datetime) -> None:
        self.told.append(("observe", portal, quota))

    def block(self, portal: str, until: datetime, *, daily: bool) -> None:
        self.told.append(("block", portal, until, daily))


@dataclass
class FakeTokens:
    """One token per portal; a fetch that is `fresh` brings the next one."""

    values: list[str] = field(default_factory=lambda: ["old", "new"])

    def secret_name(self, portal: str) -> str:
        return f"tokens/{portal}"

    def zone(self, portal: str) -> tzinfo | None:
        return None

    def bearer(self, portal: str, seconds: float, *, fresh: bool = False) -> str:
        return self.values[1 if fresh else 0]


@dataclass
class FakeRegistry:
    """Remembers which portals were used, and since when each has no secret."""

    portals: dict[str, datetime | None] = field(default_factory=dict)

    def add(self, portal: str, now: datetime) -> None:
        self.portals[portal] = None

    def knows(self, portal: str) -> bool:
        return portal in self.portals

    def missing_since(self, portal: str, now: datetime) -> datetime | None:
        if portal in self.portals:
            self.portals[portal] = self.portals[portal] or now
        return self.portals.get(portal)


def in_memory(clock: Clock, index_lag: float = 0) -> Table:
    """The simulation's table instead of moto's: many times as fast, for tests of many steps or many examples."""
    dynamo: Any = Dynamo(lambda operation: "", lambda: clock().timestamp(), index_lag)
    return Table(dynamo, "outcomes")


class Service:
    """One deployment in memory: a ledger, a HubSpot behind it and the time, for as many runs as a test needs."""

    def __init__(self, hubspot: FakeHubSpot | None = None, **rest: Any) -> None:
        self.clock = Clock()
        self.table = in_memory(self.clock)
        self.ledger = Ledger(self.table, timedelta(days=400))
        self.hubspot = hubspot or FakeHubSpot()
        self.leases = leases(self.table)
        self.ports = ports(self.ledger, self.hubspot, self.clock, **rest)

    def run(self, *requests: Request, seconds: float = 30) -> list[Outcome]:
        """The outcomes as the ledger has them after one run."""
        run(requests, seconds, self.ports)
        return [self.outcome(one) for one in requests]

    def outcome(self, one: Request) -> Outcome:
        found = self.ledger.get(one.id)
        assert found is not None
        return found

    def run_until_final(self, one: Request) -> Outcome:
        """The outcome after as many runs as it takes, each at the time that the one before named."""
        for _ in range(100):
            (outcome,) = self.run(one)
            if outcome.status.final:
                return outcome
            assert outcome.retry_at is not None
            self.clock.time = outcome.retry_at
        raise AssertionError("a hundred runs did not finish it")


@dataclass
class FakeObjectTypes:
    """HubSpot's own types, and the custom ones that a test names; a failure in place of an id is raised."""

    custom: dict[str, str | HubSpotFailure] = field(default_factory=dict)

    def known(self, portal: str, name: str) -> str | None:
        found = self.custom.get(name)
        return object_type_id(name) or (found if isinstance(found, str) else None)

    def resolve(self, portal: str, name: str, seconds: float) -> str:
        found = object_type_id(name) or self.custom.get(name) or Refused(f"HubSpot knows no object type {name}")
        if isinstance(found, HubSpotFailure):
            raise found
        return found


def leases(table: Table, lag: timedelta = timedelta(minutes=5)) -> Leases:
    """The leases in a table, over whose reads HubSpot's may lag so long."""
    return Leases(table, timedelta(days=400), lag, Rebuild(table, History(table), lag))


def ports(
    ledger: Ledger,
    hubspot: FakeHubSpot,
    clock: Clock,
    batch_size: int = 100,
    zone: tzinfo = UTC,
    object_types: FakeObjectTypes | None = None,
) -> Dependencies:
    """Dependencies of a run whose waits pass in no time, with the leases in the ledger's own table."""
    return Dependencies(
        ledger=ledger,
        leases=leases(ledger._table),
        gates=Gates(ledger._table),
        object_types=object_types or FakeObjectTypes(),
        hubspot=hubspot,
        tokens=FakeTokens(),
        quota=FakeQuota(),
        clock=clock,
        jitter=lambda: 0.5,
        new_id=lambda: f"worker-{next(WORKERS)}",
        zone=lambda portal: zone,
        sleep=clock.advance,
        reached=lambda point: None,
        side_by_side=in_turn,
        default_api_version="2026-03",
        batch_size=batch_size,
        give_up_after=timedelta(days=10),
    )


def envelope(*limits: tuple[int, int], **rest: Any) -> dict[str, Any]:
    """An envelope as JSON, with HUBSPOT_DEFINED inputs of (typeId, maxToObjectIds)."""
    inputs = [{"category": "HUBSPOT_DEFINED", "typeId": t, "maxToObjectIds": n} for t, n in limits]
    return {"fromObjectType": "deals", "toObjectType": "contacts", "inputs": inputs, **rest}


def request(own_id: str, *limits: tuple[int, int], at: datetime = START, **rest: Any) -> Request:
    """A request of the queue."""
    interactive = rest.pop("interactive", False)
    parsed = parse_envelope(envelope(*limits, **rest))
    return Request(parsed, Trigger.QUEUE, own_id, at, interactive=interactive)
