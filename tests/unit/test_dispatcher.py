"""Every minute what waits in the ledger and is due goes back on the queue, pair by pair."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

import dispatcher
import production
from aws.sqs import IN_ONE_CALL, Queue
from batch_create.handler import run
from dispatcher import AGAIN, MINUTE, PAUSE
from ledger.gates import Gate, Gates
from model.errors import LedgerUnavailable, QueueUnavailable
from model.outcomes import Status
from tests.support.aws import Deployment
from tests.support.events import Context
from tests.support.fakes import Clock, FakeHubSpot, failed, request
from tests.support.queue import consume, takes_nothing

HOUR = timedelta(hours=1)


def dispatched(time_left: int = 60_000) -> int:
    """How many pairs a run sends."""
    answered: dict[str, int] = dispatcher.handler({}, Context(time_left=time_left))
    return answered["pairs"]


def park(hubspot: FakeHubSpot, *to_types: str, portal: str = "default", hours: int = 1) -> None:
    """Let a request for each of some pairs wait."""
    asked = [request(f"{portal}-{each}-{hours}", (3, 5), portal=portal, toObjectType=each) for each in to_types]
    hubspot.replies = [failed(477, retry_after=3600 * hours) for _ in asked]
    run(asked, 30, production.production())
    hubspot.replies = []


def sent(deployment: Deployment) -> list[str]:
    found = deployment.messages()
    return sorted(message["MessageAttributes"]["Open"]["StringValue"] for message in found)


def test_given_what_waits_when_it_is_due_it_is_sent_and_ends(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock
) -> None:
    park(hubspot, "contacts")
    assert dispatched() == 0

    clock.advance(3600)
    assert dispatched() == 1

    (message,) = functions.messages()
    assert consume(message) == []
    outcome = production.ledger().get("default-contacts-1")
    assert outcome is not None
    assert outcome.status is Status.COMPLETE
    clock.advance(3600)
    assert dispatched() == 0
    assert list(production.gates().due(clock() + 1000 * HOUR)) == []


def test_given_many_requests_of_a_pair_one_message_is_sent(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock
) -> None:
    asked = [request(f"m-{number}", (number, 5)) for number in range(3, 9)]
    hubspot.replies = [failed(477, retry_after=3600)]
    run(asked, 30, production.production())
    clock.advance(3600)

    assert dispatched() == 1

    (message,) = functions.messages()
    assert consume(message) == []
    assert {production.ledger().get(each.id).status for each in asked} == {Status.COMPLETE}  # type: ignore[union-attr] # each is there


def test_what_is_sent_is_sent_again_only_if_it_still_waits_much_later(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock
) -> None:
    park(hubspot, "contacts")
    clock.advance(3600)
    counts = []
    for _ in range(int(AGAIN / MINUTE) + 2):
        counts.append(dispatched())
        clock.advance(60)

    assert [minute for minute, count in enumerate(counts) if count] == [0, AGAIN / MINUTE]


def test_what_is_due_later_is_sent_then(functions: Deployment, hubspot: FakeHubSpot, clock: Clock) -> None:
    park(hubspot, "contacts", hours=1)
    park(hubspot, "companies", hours=2)
    clock.advance(3600)
    assert dispatched() == 1
    assert sent(functions) == ["default#deals#contacts"]

    clock.advance(3600)
    dispatched()
    assert "default#deals#companies" in sent(functions)


def test_of_a_portal_as_many_are_sent_in_a_minute_as_its_quota_has_calls(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "settings", lambda: replace(production.settings(), quota_calls=1))
    pairs = [f"2-{number}" for number in range(1, 9)]
    park(hubspot, *pairs)
    clock.advance(3600)
    counts = []
    for _ in range(4):
        counts.append(dispatched())
        clock.advance(60)

    assert counts == [6, 2, 0, 0]
    assert sent(functions) == sorted(f"default#deals#{pair}" for pair in pairs)


def test_of_all_portals_each_has_its_turn(functions: Deployment, hubspot: FakeHubSpot, clock: Clock) -> None:
    park(hubspot, "contacts")
    park(hubspot, "contacts", portal="acme")
    clock.advance(3600)

    assert dispatched() == 2
    assert sent(functions) == ["acme#deals#contacts", "default#deals#contacts"]


def test_without_time_nothing_is_begun(functions: Deployment, hubspot: FakeHubSpot, clock: Clock) -> None:
    park(hubspot, "contacts")
    clock.advance(3600)

    assert dispatched(time_left=10_000) == 0
    assert dispatched() == 1


def test_given_a_queue_that_takes_nothing_the_run_fails_and_the_next_sends_it(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    park(hubspot, "contacts")
    clock.advance(3600)
    with monkeypatch.context() as patch:
        takes_nothing(patch)
        with pytest.raises(QueueUnavailable):
            dispatched()

    assert dispatched() == 1


def test_a_portal_that_cannot_be_read_stops_no_other(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    park(hubspot, "contacts")
    park(hubspot, "contacts", portal="acme")
    clock.advance(3600)
    pairs = Gates.pairs

    def throttled(gates: Gates, gate: Gate) -> Any:
        if gate.portal == "acme":
            raise LedgerUnavailable("throttled")
        return pairs(gates, gate)

    monkeypatch.setattr(Gates, "pairs", throttled)
    with pytest.raises(LedgerUnavailable):
        dispatched()

    assert sent(functions) == ["default#deals#contacts"]


def test_a_portal_with_very_many_pairs_is_gone_through_in_several_runs(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "LOOKS", 2)
    park(hubspot, *(f"2-{number}" for number in range(1, 6)), hours=2)
    park(hubspot, "contacts")
    clock.advance(3600)
    counts = []
    for _ in range(4):
        counts.append(dispatched())
        clock.advance(60)

    assert sum(counts) == 1
    assert sent(functions) == ["default#deals#contacts"]


def test_many_pairs_are_sent_in_few_calls(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    send_many = Queue._send_many

    def counted(queue: Queue, messages: Any) -> list[bool]:
        calls.append(len(messages))
        return send_many(queue, messages)

    monkeypatch.setattr(Queue, "_send_many", counted)
    park(hubspot, *(f"2-{number}" for number in range(1, IN_ONE_CALL + 3)))
    clock.advance(3600)

    assert dispatched() == IN_ONE_CALL + 2
    assert calls == [IN_ONE_CALL, 2]


def test_a_look_at_a_portal_is_not_taken_more_often_than_every_few_minutes(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock
) -> None:
    for hours in (1, 2):
        park(hubspot, "contacts", hours=hours)
    clock.advance(3600)
    dispatched()

    assert list(production.gates().due(clock() + PAUSE - MINUTE)) == []
