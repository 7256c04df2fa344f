"""Ports that tests set the scene with: a clock that is told the time, a HubSpot with a script, tokens."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from batch_create.contract import BatchAnswer, LimitInput, LimitKey, parse_envelope
from batch_create.errors import HubSpotFailure
from batch_create.hubspot import Answer, Pair
from batch_create.outcomes import Request, Trigger
from batch_create.ports import LedgerPort, Ports

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
Reply = Answer | HubSpotFailure


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
    return Answer(http_status, text, correlation_id, BatchAnswer.model_validate_json(text))


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
    """Keeps limits, and answers creates by a script of `replies`; when that is empty it applies and echoes everything.

    A reply that is a function sees the inputs; `applies` says whether a failing create takes effect all the same.
    """

    replies: list[Reply | Callable[[Sequence[LimitInput]], Reply]] = field(default_factory=list)
    reads: list[HubSpotFailure] = field(default_factory=list)
    applies: bool = False
    state: dict[tuple[str, str], dict[LimitKey, int | None]] = field(default_factory=dict)
    created: list[tuple[Pair, tuple[LimitInput, ...]]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    read_count: int = 0

    def batch_create(self, token: str, pair: Pair, inputs: Sequence[LimitInput], seconds: float) -> Answer:
        self.tokens.append(token)
        self.created.append((pair, tuple(inputs)))
        limits = self.state.setdefault((pair.from_object_type, pair.to_object_type), {})
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

    def read_pair(self, token: str, pair: Pair, seconds: float) -> dict[LimitKey, int | None]:
        self.read_count += 1
        if self.reads:
            raise self.reads.pop(0)
        return dict(self.state.get((pair.from_object_type, pair.to_object_type), {}))


@dataclass
class FakeTokens:
    """One token per portal; a fetch that is `fresh` brings the next one."""

    values: list[str] = field(default_factory=lambda: ["old", "new"])

    def secret_of(self, portal: str) -> str:
        return f"tokens/{portal}"

    def bearer(self, portal: str, *, fresh: bool = False) -> str:
        return self.values[1 if fresh else 0]


def ports(ledger: LedgerPort, hubspot: FakeHubSpot, clock: Clock, batch_size: int = 100) -> Ports:
    return Ports(
        ledger=ledger,
        hubspot=hubspot,
        tokens=FakeTokens(),
        clock=clock,
        jitter=lambda: 0.5,
        default_api_version="2026-03",
        batch_size=batch_size,
    )


def envelope(*limits: tuple[int, int], **rest: Any) -> dict[str, Any]:
    """An envelope as JSON, with HUBSPOT_DEFINED inputs of (typeId, maxToObjectIds)."""
    inputs = [{"category": "HUBSPOT_DEFINED", "typeId": t, "maxToObjectIds": n} for t, n in limits]
    return {"fromObjectType": "deals", "toObjectType": "contacts", "inputs": inputs, **rest}


def request(own_id: str, *limits: tuple[int, int], at: datetime = START, **rest: Any) -> Request:
    """A request of the queue."""
    interactive = rest.pop("interactive", False)
    parsed = parse_envelope(envelope(*limits, **rest), {"default", "acme"})
    return Request(parsed, Trigger.QUEUE, own_id, at, interactive=interactive)
