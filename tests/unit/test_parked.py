"""What is parked for a pair is run when the dispatcher asks for it, and carried on by whatever can carry it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

import parked
import production
from aws.dynamodb import Table
from batch_create.settling import unsettled
from ledger.leases import Wanted
from model.errors import LedgerUnavailable
from model.outcomes import Status, new_outcome
from tests.support.aws import Deployment
from tests.support.consuming import DEALS_TO_CONTACTS, consume
from tests.support.events import attributes, sqs_event
from tests.support.fakes import START, Clock, FakeHubSpot, FakeQueue, envelope, failed, request
from tests.support.letters import read

HOUR = timedelta(hours=1)
NOW = timedelta()


def asks(*to_types: str) -> dict[str, Any]:
    """The dispatcher's messages for pairs."""
    each = ({"body": "what waits", "messageAttributes": attributes(Open=f"default#deals#{to}")} for to in to_types)
    return sqs_event(*each)


def park(hubspot: FakeHubSpot, clock: Clock, *to_types: str) -> None:
    """Let a request for each of some pairs wait for an hour, `message-0` the first, and let the hour pass."""
    hubspot.replies = [failed(477, retry_after=3600) for _ in to_types]
    bodies = ({**envelope((number, 5)), "toObjectType": to} for number, to in enumerate(to_types, 3))
    assert consume(sqs_event(*({"body": body} for body in bodies))) == []
    hubspot.replies = []
    clock.advance(3600)


def statuses(count: int) -> list[Status]:
    return [read(f"message-{number}").status for number in range(count)]


def test_more_than_one_invocation_can_run_is_asked_for_again(
    functions: Deployment, hubspot: FakeHubSpot, fake_queue: FakeQueue, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parked, "MOST", 2)
    hubspot.replies = [failed(477, retry_after=3600)]
    assert consume(sqs_event(*({"body": envelope((number, 5))} for number in (3, 5, 7)))) == []
    clock.advance(3600)

    assert consume(asks("contacts")) == []
    assert fake_queue.pairs == [("default", "deals#contacts", NOW)]
    assert sorted(statuses(3)) == ["COMPLETE", "COMPLETE", "DEFERRED"]

    fake_queue.broken = True
    assert consume(asks("contacts")) == []
    assert set(statuses(3)) == {Status.COMPLETE}


def test_a_pair_for_which_there_is_no_room_is_asked_for_again_later(
    functions: Deployment, hubspot: FakeHubSpot, fake_queue: FakeQueue, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    park(hubspot, clock, "contacts", "companies")
    monkeypatch.setattr(parked, "MOST", 1)

    assert consume(asks("contacts", "companies", "contacts")) == []

    assert statuses(2) == [Status.COMPLETE, Status.DEFERRED]
    assert ("default", "deals#companies", parked.LATER) in fake_queue.pairs


def test_without_time_to_run_it_no_second_pair_is_read(
    functions: Deployment, hubspot: FakeHubSpot, fake_queue: FakeQueue, clock: Clock
) -> None:
    park(hubspot, clock, "contacts", "companies")
    pairs = [("default", "deals#contacts"), ("default", "deals#companies")]

    found, unknown = parked.opened(pairs, production.gates(), clock(), lambda: False)

    assert [(each.pair, len(each.requests), each.left) for each in found] == [
        ("deals#contacts", 1, False),
        ("deals#companies", 0, True),
    ]
    assert unknown == set()


def test_what_could_not_be_claimed_is_still_parked_and_asked_for_by_the_dispatcher_alone(
    functions: Deployment, hubspot: FakeHubSpot, fake_queue: FakeQueue, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parked, "MOST", 1)
    park(hubspot, clock, "contacts")
    with monkeypatch.context() as patch:

        def throttled(*_: object, **__: object) -> None:
            raise LedgerUnavailable("throttled")

        patch.setattr(Table, "update", throttled)
        assert consume(asks("contacts")) == []

    assert (fake_queue.pairs, fake_queue.sent_on, fake_queue.hidden) == ([], {}, {})
    assert read("message-0").parked is True
    clock.advance(600)  # nor could the pair be given back
    assert consume(asks("contacts")) == []
    assert statuses(1) == [Status.COMPLETE]


def test_given_a_pair_that_another_holds_it_is_asked_for_again_soon(
    functions: Deployment, hubspot: FakeHubSpot, fake_queue: FakeQueue, clock: Clock
) -> None:
    park(hubspot, clock, "contacts")
    wanted = Wanted("default", DEALS_TO_CONTACTS)
    production.leases().take_many([wanted], "another", clock(), clock() + timedelta(minutes=5))

    assert consume(asks("contacts")) == []

    ((_, pair, delay),) = fake_queue.pairs
    assert pair == "deals#contacts"
    assert NOW < delay <= timedelta(minutes=1)
    assert (statuses(1), read("message-0").parked) == ([Status.DEFERRED], True)


def test_what_must_wait_for_less_and_sqs_does_not_take_is_parked_again(
    functions: Deployment, hubspot: FakeHubSpot, fake_queue: FakeQueue, clock: Clock
) -> None:
    park(hubspot, clock, "contacts")
    hubspot.replies = [failed(477, retry_after=60)]
    fake_queue.broken = True

    assert consume(asks("contacts")) == []

    assert (statuses(1), read("message-0").parked) == ([Status.DEFERRED], True)
    (gate,) = production.gates().due(clock() + timedelta(seconds=60))
    assert gate.portal == "default"
    clock.advance(60)
    assert consume(asks("contacts")) == []
    assert statuses(1) == [Status.COMPLETE]


def test_what_could_not_be_settled_is_not_parked() -> None:
    outcome = new_outcome(request("m-1", (3, 5)), Status.DEFERRED)

    assert unsettled(outcome, START).parked is None


def test_given_a_settlement_that_fails_the_message_of_what_was_to_be_parked_comes_again(
    functions: Deployment, hubspot: FakeHubSpot, fake_queue: FakeQueue, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object) -> None:
        raise LedgerUnavailable("throttled")

    hubspot.replies = [failed(477, retry_after=3600)]
    with monkeypatch.context() as patch:
        patch.setattr("ledger.ledger.Ledger.settle", unreachable)
        patch.setattr(
            "ledger.ledger.Ledger.settle_many", lambda self, settled, also=(): [False] * len([*settled, *also])
        )
        consume(sqs_event({"body": envelope((3, 5))}))

    assert list(fake_queue.sent_on) == ["message-0"]
