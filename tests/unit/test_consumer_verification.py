"""Pairs that the sweep asks to be read, by messages of the queue."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

import production
from aws.dynamodb import Table
from batch_create.handler import run
from model.errors import LedgerUnavailable
from model.outcomes import Status
from model.records import milliseconds
from tests.support.aws import Deployment
from tests.support.consuming import DEALS_TO_CONTACTS, consume, held
from tests.support.events import attributes, sqs_event
from tests.support.fakes import Clock, FakeHubSpot, envelope, failed, key, request
from tests.support.letters import read

VERIFICATION = {"body": "a pair to be verified", "messageAttributes": attributes(Verify="default#0-3#0-1")}


def sent(message_id: str, at: datetime, *limits: tuple[int, int]) -> dict[str, Any]:
    """A message that was sent at a time."""
    return {
        "body": envelope(*limits),
        "messageId": message_id,
        "attributes": {"SentTimestamp": str(milliseconds(at))},
    }


def may_be_undone(hubspot: FakeHubSpot, clock: Clock) -> None:
    """A younger request's number is set, and an older one's call may land after it: now a reading tells."""
    hubspot.replies, hubspot.reads = [failed(503)], [failed(503)]
    consume(sqs_event(sent("older", clock(), (3, 5))))
    clock.advance(10)
    younger = request("younger", (3, 9), at=clock(), interactive=True)  # which does not wait for the call to land
    run([younger], 30, production.production())
    assert hubspot.limits == {key(3): 9}
    clock.advance(3600)
    hubspot.calls.clear()


def test_a_pair_that_is_to_be_verified_is_read_and_what_a_late_call_has_undone_is_set_again(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock
) -> None:
    may_be_undone(hubspot, clock)
    hubspot.limits[key(3)] = 5  # the older request's call has landed after the younger one's

    assert consume(sqs_event(VERIFICATION)) == []

    assert hubspot.calls == ["read", "create"]
    assert hubspot.limits == {key(3): 9}


def test_a_pair_that_stands_as_it_should_is_read_once(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock
) -> None:
    may_be_undone(hubspot, clock)

    assert [consume(sqs_event(VERIFICATION)) for _ in range(2)] == [[], []]

    assert hubspot.calls == ["read"]
    assert production.leases().due("default", clock()) == []


def test_what_somebody_else_has_set_is_not_set_again(functions: Deployment, hubspot: FakeHubSpot, clock: Clock) -> None:
    may_be_undone(hubspot, clock)
    hubspot.limits[key(3)] = 7

    consume(sqs_event(VERIFICATION))

    assert hubspot.calls == ["read"]


def test_a_pair_that_cannot_be_read_is_left_to_the_next_sweep(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock
) -> None:
    may_be_undone(hubspot, clock)
    hubspot.reads = [failed(503)]

    assert consume(sqs_event(VERIFICATION)) == []

    assert production.leases().due("default", clock()) == [DEALS_TO_CONTACTS]


def test_a_pair_that_another_worker_holds_is_not_verified_and_its_message_does_not_come_back(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock
) -> None:
    may_be_undone(hubspot, clock)
    held(DEALS_TO_CONTACTS, clock)

    assert consume(sqs_event(VERIFICATION)) == []

    assert hubspot.calls == []


def test_without_the_ledger_a_verification_does_not_come_back(
    functions: Deployment, hubspot: FakeHubSpot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise LedgerUnavailable("throttled")

    monkeypatch.setattr(Table, "_call", unreachable)

    assert consume(sqs_event(VERIFICATION)) == []


def test_a_verification_for_a_portal_that_is_not_ours_leaves_nothing(
    functions: Deployment, hubspot: FakeHubSpot
) -> None:
    asked = {**VERIFICATION, "messageAttributes": attributes(Verify="nobody#0-3#0-1")}

    assert consume(sqs_event(asked)) == []

    assert hubspot.calls == []
    assert functions.dynamodb.scan(TableName=functions.table)["Items"] == []


def test_a_verification_and_a_request_of_its_pair_share_a_batch(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock
) -> None:
    may_be_undone(hubspot, clock)

    assert consume(sqs_event(VERIFICATION, {"body": envelope((4, 5))})) == []

    assert hubspot.calls == ["read", "create"]
    assert read("message-1").status is Status.COMPLETE
    assert production.ledger().get("message-0") is None
