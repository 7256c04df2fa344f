"""The queue's entry point, called with SQS's events over moto and a fake HubSpot."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

import production
from aws.dynamodb import Table
from hubspot_api.client import Answer
from ledger.ledger import Ledger
from model.contract import LimitInput
from model.errors import HubSpotFailure, LedgerUnavailable
from model.outcomes import Result, Status, Trigger
from tests.support.aws import Deployment
from tests.support.consuming import DEALS_TO_CONTACTS, consume, held
from tests.support.events import attributes, load, sqs_event
from tests.support.fakes import Clock, FakeHubSpot, FakeQueue, answer, echo, envelope, failed, request
from tests.support.letters import read

WAITING = {"body": "what waits for a pair", "messageAttributes": attributes(Open="default#deals#contacts")}


def test_a_message_is_run_and_acknowledged(functions: Deployment) -> None:
    event = load("sqs")

    assert consume(event) == []

    outcome = read(event["Records"][0]["messageId"])
    assert outcome.status is Status.COMPLETE
    assert outcome.trigger is Trigger.QUEUE
    assert outcome.requested_by == "revenue operations"
    assert outcome.requested_at == datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ("not json", "not valid JSON"),
        ("[]", "must be a JSON object"),
        (json.dumps(envelope((3, 5), portal="Un known")), "portal: must match"),
        (json.dumps({**envelope((3, 5)), "maxToObjectIds": 3}), "maxToObjectIds: is not a field"),
        (json.dumps(envelope()), "inputs: must hold at least 1 input"),
        (json.dumps(envelope((3, 0))), "inputs[0].maxToObjectIds: must be at least 1"),
    ],
)
def test_a_malformed_message_is_rejected_kept_and_acknowledged(
    functions: Deployment, hubspot: FakeHubSpot, body: str, wrong: str
) -> None:
    assert consume(sqs_event({"body": body})) == []

    outcome = read("message-0")
    assert outcome.status is Status.REJECTED
    assert wrong in (outcome.reason or "")
    assert outcome.received == body
    assert hubspot.created == []


def test_of_a_long_malformed_message_the_first_4_kib_are_kept(functions: Deployment) -> None:
    consume(sqs_event({"body": "é" * 5000}))

    assert read("message-0").received == "é" * 2048


def test_a_malformed_message_that_could_not_be_kept_comes_back(
    functions: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object) -> None:
        raise LedgerUnavailable("throttled")

    monkeypatch.setattr(Ledger, "record", unreachable)

    assert consume(sqs_event({"body": "not json"})) == ["message-0"]


def test_good_and_bad_messages_of_a_batch_do_not_touch_each_other(
    functions: Deployment, hubspot: FakeHubSpot, fake_queue: FakeQueue
) -> None:
    def locked(inputs: Sequence[LimitInput]) -> Answer | HubSpotFailure:
        return failed(423) if inputs[0].type_id == 4 else answer([echo(item) for item in inputs])

    hubspot.replies = [locked] * 4
    acme = {**envelope((3, 5)), "portal": "acme"}

    returned = consume(sqs_event({"body": "{"}, {"body": envelope((4, 5))}, {"body": acme}))

    assert returned == []
    assert [read(f"message-{n}").status for n in range(3)] == [Status.REJECTED, Status.DEFERRED, Status.COMPLETE]
    waiting = read("message-1")
    assert waiting.reason == "HubSpot answered 423"
    assert fake_queue.sent_on == {"message-1": timedelta(seconds=2)}


def test_a_copy_of_a_message_whose_request_goes_on_in_another_one_is_acknowledged(
    functions: Deployment, hubspot: FakeHubSpot, fake_queue: FakeQueue
) -> None:
    hubspot.replies = [failed(477, retry_after=600)]
    message = sqs_event({"body": envelope((3, 5))})
    assert consume(message) == []
    fake_queue.sent_on.clear()

    assert consume(message) == []

    assert (fake_queue.sent_on, fake_queue.hidden) == ({}, {})
    assert read("message-0").status is Status.DEFERRED


def test_of_several_messages_of_one_request_that_must_wait_one_is_sent_on(
    functions: Deployment, hubspot: FakeHubSpot, fake_queue: FakeQueue
) -> None:
    hubspot.replies = [failed(429)]
    message = {"body": envelope((3, 5)), "messageAttributes": attributes(OutcomeId="outcome-7")}

    assert consume(sqs_event(message, message)) == []

    assert fake_queue.sent_on == {"outcome-7": timedelta(seconds=10)}


def test_a_message_comes_back_whose_request_cannot_be_sent_on(
    functions: Deployment, hubspot: FakeHubSpot, fake_queue: FakeQueue
) -> None:
    fake_queue.broken = True
    hubspot.replies = [failed(429)]

    assert consume(sqs_event({"body": envelope((3, 5))})) == ["message-0"]


@pytest.mark.parametrize("status", [401, 403])
def test_a_misconfigured_portal_defers_its_messages(
    functions: Deployment, hubspot: FakeHubSpot, fake_queue: FakeQueue, status: int
) -> None:
    hubspot.replies = [failed(status) for _ in range(3)]

    assert consume(sqs_event({"body": envelope((3, 5))})) == []
    assert read("message-0").status is Status.DEFERRED
    assert "hubspot-association-limits/portals/default" in (read("message-0").reason or "")


def test_a_message_whose_request_runs_elsewhere_waits_for_the_lease(
    functions: Deployment, hubspot: FakeHubSpot, fake_queue: FakeQueue, clock: Clock
) -> None:
    production.ledger().claim(request("message-0", (3, 5)), "worker", clock(), clock() + timedelta(seconds=50))

    assert consume(sqs_event({"body": envelope((3, 5))})) == ["message-0"]
    assert fake_queue.hidden == {"handle-0": timedelta(seconds=50)}
    assert hubspot.calls == []


def test_a_wait_longer_than_sqs_delays_a_message_is_in_the_ledger_alone(
    functions: Deployment, hubspot: FakeHubSpot, fake_queue: FakeQueue, clock: Clock
) -> None:
    hubspot.replies = [failed(477, retry_after=3600)]
    message = sqs_event({"body": envelope((3, 5))})
    assert consume(message) == []
    before = read("message-0")
    assert (before.status, before.parked) == (Status.DEFERRED, True)

    clock.advance(3599)
    assert consume(message) == []  # delivered once more
    assert consume(sqs_event(WAITING)) == []
    assert read("message-0") == before
    assert (fake_queue.sent_on, fake_queue.hidden, len(hubspot.created)) == ({}, {}, 1)

    clock.advance(1)
    assert consume(sqs_event(WAITING)) == []
    assert read("message-0").status is Status.COMPLETE
    assert read("message-0").parked is None
    # Had its fence grown with each early delivery, its pauses would have grown too.
    item = functions.dynamodb.get_item(TableName=functions.table, Key={"id": {"S": "message-0"}})["Item"]
    assert item["fence"] == {"N": "2"}
    assert "dueKey" not in item


def test_what_waited_and_must_wait_for_less_goes_on_in_a_message(
    functions: Deployment, hubspot: FakeHubSpot, fake_queue: FakeQueue, clock: Clock
) -> None:
    hubspot.replies = [failed(477, retry_after=3600), failed(477, retry_after=60)]
    assert consume(sqs_event({"body": envelope((3, 5))})) == []
    clock.advance(3600)

    assert consume(sqs_event(WAITING)) == []

    assert fake_queue.sent_on == {"message-0": timedelta(seconds=60)}
    assert read("message-0").parked is None


def test_without_the_ledger_a_message_about_what_waits_comes_back(
    functions: Deployment, fake_queue: FakeQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise LedgerUnavailable("throttled")

    monkeypatch.setattr(Table, "_call", unreachable)

    assert consume(sqs_event(WAITING)) == ["message-0"]


@pytest.mark.parametrize("named", ["", "default", "default#deals", "#deals#contacts", "default#deals#contacts#3"])
def test_a_message_that_only_looks_like_the_dispatchers_is_a_request_like_any_other(
    functions: Deployment, named: str
) -> None:
    message = {"body": envelope((3, 5)), "messageAttributes": attributes(Open=named)}

    assert consume(sqs_event(message)) == []

    assert read("message-0").status is Status.COMPLETE


def test_a_message_whose_custom_type_hubspot_does_not_tell_any_more_comes_back(
    functions: Deployment, hubspot: FakeHubSpot, fake_queue: FakeQueue, clock: Clock
) -> None:
    hubspot.types, hubspot.replies = {"p_boat": "2-9"}, [failed(477, retry_after=3600)]
    waiting = sqs_event({**WAITING, "messageAttributes": attributes(Open="default#deals#p_boat")})
    assert consume(sqs_event({"body": {**envelope((3, 5)), "toObjectType": "p_boat"}})) == []

    clock.advance(2 * 86_400)  # what HubSpot has told is forgotten after a day
    hubspot.types = {"p_boat": failed(503)}
    assert consume(waiting) == []
    assert list(fake_queue.sent_on) == ["message-0"]

    hubspot.types = {"p_boat": "2-9"}
    clock.advance(86_400)
    carried = {"messageId": "another", "messageAttributes": attributes(OutcomeId="message-0", Claims="2")}
    assert consume(sqs_event({"body": {**envelope((3, 5)), "toObjectType": "p_boat"}, **carried})) == []
    assert read("message-0").status is Status.COMPLETE


def test_a_spent_daily_quota_lets_a_request_wait_until_it_is_full_again(
    functions: Deployment, hubspot: FakeHubSpot, fake_queue: FakeQueue, clock: Clock
) -> None:
    clock.time = datetime(2026, 11, 23, 20, 0, tzinfo=UTC)
    hubspot.replies = [failed(429, daily=True)]

    assert consume(sqs_event({"body": envelope((3, 5))})) == []

    # Portal default keeps the time of Berlin, as its settings say.
    assert read("message-0").retry_at == clock() + timedelta(hours=3)
    (gate,) = production.gates().due(clock() + timedelta(hours=3))
    assert gate.portal == "default"


def test_without_the_ledger_every_message_comes_back_after_minutes(
    functions: Deployment, hubspot: FakeHubSpot, fake_queue: FakeQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise LedgerUnavailable("throttled")

    monkeypatch.setattr(Table, "_call", unreachable)

    messages = [{"body": envelope((3, 5))}, {"body": envelope((4, 5))}]
    assert consume(sqs_event(*messages)) == ["message-0", "message-1"]
    assert list(fake_queue.hidden) == ["handle-0", "handle-1"]
    assert all(timedelta(minutes=1) <= pause <= timedelta(minutes=2) for pause in fake_queue.hidden.values())
    assert fake_queue.sent_on == {}
    assert hubspot.calls == []


def test_a_redelivered_message_is_acknowledged_from_the_ledger(functions: Deployment, hubspot: FakeHubSpot) -> None:
    consume(sqs_event({"body": envelope((3, 5))}))

    assert consume(sqs_event({"body": envelope((3, 5))})) == []
    assert len(hubspot.created) == 1


def test_a_handed_over_request_continues_its_outcome(functions: Deployment) -> None:
    attribute = {"OutcomeId": {"stringValue": "outcome-7", "dataType": "String"}}

    assert consume(sqs_event({"body": envelope((3, 5)), "messageAttributes": attribute})) == []

    assert read("outcome-7").inputs[0].result is Result.APPLIED
    assert production.ledger().get("message-0") is None


def test_an_outcome_id_that_cannot_be_one_makes_a_message_malformed(functions: Deployment) -> None:
    attribute = {"OutcomeId": {"stringValue": "x" * 3000, "dataType": "String"}}

    assert consume(sqs_event({"body": envelope((3, 5)), "messageAttributes": attribute})) == []
    assert read("message-0").status is Status.REJECTED


def test_a_key_that_belongs_to_another_request_is_rejected_under_the_message(
    functions: Deployment, hubspot: FakeHubSpot
) -> None:
    consume(sqs_event({"body": envelope((3, 5), idempotencyKey="k")}))

    returned = consume(sqs_event({"body": envelope((3, 9), idempotencyKey="k"), "messageId": "other"}))

    assert returned == []
    assert read("other").status is Status.REJECTED
    assert "belongs to another request" in (read("other").reason or "")
    assert len(hubspot.created) == 1


# -------------------------------------------------------------------------------------- pairs that another worker holds
def test_a_request_whose_pair_another_worker_holds_is_queued_again_and_comes_in_two_seconds(
    functions: Deployment, hubspot: FakeHubSpot, fake_queue: FakeQueue, clock: Clock
) -> None:
    held(DEALS_TO_CONTACTS, clock)

    assert consume(sqs_event({"body": envelope((3, 5))})) == []

    assert fake_queue.sent_on == {"message-0": timedelta(seconds=2)}
    assert read("message-0").status is Status.QUEUED
    assert hubspot.calls == []


def test_messages_read_for_the_first_time_whose_pair_another_worker_holds_come_again_in_two_seconds(
    functions: Deployment, hubspot: FakeHubSpot, fake_queue: FakeQueue, clock: Clock
) -> None:
    held(DEALS_TO_CONTACTS, clock)

    assert consume(sqs_event(*[{"body": envelope((3, 5))}] * 2)) == ["message-0", "message-1"]

    assert fake_queue.hidden == {f"handle-{n}": timedelta(seconds=2) for n in range(2)}
    assert [production.ledger().get(f"message-{n}") for n in range(2)] == [None] * 2
    assert hubspot.calls == []


def test_messages_read_again_whose_pair_another_worker_holds_are_accepted_and_come_again_in_two_seconds(
    functions: Deployment, hubspot: FakeHubSpot, fake_queue: FakeQueue, clock: Clock
) -> None:
    held(DEALS_TO_CONTACTS, clock)
    event = sqs_event(*[{"body": envelope((3, 5))}] * 2)
    for record in event["Records"]:
        record["attributes"]["ApproximateReceiveCount"] = "2"

    assert consume(event) == []

    assert fake_queue.sent_on == {f"message-{n}": timedelta(seconds=2) for n in range(2)}
    assert [read(f"message-{n}").status for n in range(2)] == [Status.QUEUED] * 2
    assert hubspot.calls == []


def test_once_the_pair_is_given_back_its_messages_are_run(
    functions: Deployment, hubspot: FakeHubSpot, fake_queue: FakeQueue, clock: Clock
) -> None:
    lease = held(DEALS_TO_CONTACTS, clock)
    consume(sqs_event({"body": envelope((3, 5))}))

    assert production.leases().give_back(lease, clock())

    assert consume(sqs_event({"body": envelope((3, 5))})) == []
    assert read("message-0").status is Status.COMPLETE


def test_an_empty_batch_is_answered(functions: Deployment) -> None:
    assert consume({"Records": []}) == []
