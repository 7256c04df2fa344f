"""The schedule's entry point, called with Scheduler's input and with a rule's event."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import production
import scheduled
import sweep
from aws.dynamodb import Table
from ledger.leases import Wanted
from model.contract import ContractError
from model.errors import LedgerUnavailable, QueueUnavailable
from model.outcomes import Outcome, Trigger
from model.pair import Pair
from tests.support.aws import Deployment
from tests.support.events import Context, load
from tests.support.fakes import Clock, FakeHubSpot, envelope, failed, request
from tests.support.queue import deliver, takes_nothing


def invoke(event: Any, invocation: str = "invocation-1") -> dict[str, str]:
    answer: dict[str, str] = scheduled.handler(event, Context(aws_request_id=invocation, time_left=60_000))
    return answer


def read(outcome_id: str) -> Outcome:
    outcome = production.ledger().get(outcome_id)
    assert outcome is not None
    return outcome


def test_a_schedule_is_run_once_per_firing(functions: Deployment, hubspot: FakeHubSpot) -> None:
    first = invoke(load("scheduler"), "invocation-1")
    again = invoke(load("scheduler"), "invocation-2")

    assert first == again == {"outcomeId": first["outcomeId"], "status": "COMPLETE"}
    assert len(hubspot.created) == 1
    outcome = read(first["outcomeId"])
    assert outcome.trigger is Trigger.SCHEDULE
    assert outcome.requested_by == "limits/deals-to-contacts.yaml"


def test_a_scheduled_time_that_nobody_filled_in_identifies_nothing(functions: Deployment, hubspot: FakeHubSpot) -> None:
    event = {**load("scheduler"), "idempotencyKey": "deals-to-contacts <aws.scheduler.scheduled-time>"}

    assert invoke(event, "invocation-1")["outcomeId"] == "invocation-1"
    assert invoke(event, "invocation-2")["outcomeId"] == "invocation-2"
    assert len(hubspot.created) == 2


def test_a_rules_event_carries_the_envelope_in_its_detail(functions: Deployment) -> None:
    event = load("rule")

    assert invoke(event) == {"outcomeId": event["id"], "status": "COMPLETE"}
    assert read(event["id"]).requested_at == datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize("event", [{}, [], None, {**envelope((3, 5)), "extra": 1}, envelope((3, 5), portal="Un known")])
def test_a_malformed_input_fails_the_invocation(functions: Deployment, event: Any) -> None:
    with pytest.raises(ContractError):
        invoke(event)


def test_what_must_wait_is_handed_to_the_queue(functions: Deployment, hubspot: FakeHubSpot) -> None:
    hubspot.replies = [failed(429)]

    answer = invoke(envelope((3, 5), idempotencyKey="k"))

    assert answer["status"] == "DEFERRED"
    attributes = functions.sqs.get_queue_attributes(QueueUrl=functions.queue_url, AttributeNames=["All"])["Attributes"]
    assert attributes["ApproximateNumberOfMessagesDelayed"] == "1"


def test_a_request_that_waits_for_its_time_is_looked_after_by_the_queue(
    functions: Deployment, hubspot: FakeHubSpot
) -> None:
    hubspot.replies = [failed(429)]

    first, again = invoke(envelope((3, 5))), invoke(envelope((3, 5)))

    assert first == again == {"outcomeId": "invocation-1", "status": "DEFERRED"}
    assert len(hubspot.created) == 1
    attributes = functions.sqs.get_queue_attributes(QueueUrl=functions.queue_url, AttributeNames=["All"])["Attributes"]
    assert attributes["ApproximateNumberOfMessagesDelayed"] == "2"


def test_a_request_held_elsewhere_is_looked_after_by_the_queue(functions: Deployment, clock: Clock) -> None:
    held = request("invocation-1", (3, 5))
    production.ledger().claim(held, "worker", clock(), clock() + timedelta(seconds=50))

    assert invoke(envelope((3, 5)))["status"] == "RUNNING"
    attributes = functions.sqs.get_queue_attributes(QueueUrl=functions.queue_url, AttributeNames=["All"])["Attributes"]
    assert attributes["ApproximateNumberOfMessagesDelayed"] == "1"


def test_a_request_whose_pair_is_held_elsewhere_is_looked_after_by_the_queue(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock
) -> None:
    pair = Wanted("default", Pair("0-3", "0-1"))
    production.leases().take_many([pair], "another worker", clock(), clock() + timedelta(minutes=1))

    assert invoke(envelope((3, 5))) == {"outcomeId": "invocation-1", "status": "QUEUED"}

    assert hubspot.calls == []
    attributes = functions.sqs.get_queue_attributes(QueueUrl=functions.queue_url, AttributeNames=["All"])["Attributes"]
    assert attributes["ApproximateNumberOfMessagesDelayed"] == "1"


def test_what_cannot_be_queued_is_kept_by_the_ledger_and_sent_by_the_sweep(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    hubspot.replies = [failed(429)]
    with monkeypatch.context() as broken:
        takes_nothing(broken)
        waits = invoke(envelope((3, 5)))
    assert waits["status"] == "DEFERRED"
    clock.advance(3600)

    assert sweep.handler({}, Context(time_left=60_000)) == {"swept": 1}

    deliver(functions)
    assert invoke(envelope((3, 5))) == waits | {"status": "COMPLETE"}


@pytest.mark.parametrize("queue", [True, False])
def test_without_the_ledger_the_queue_keeps_a_request_and_without_both_lambda_is_to_try_again(
    functions: Deployment, hubspot: FakeHubSpot, monkeypatch: pytest.MonkeyPatch, queue: bool
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise LedgerUnavailable("throttled")

    with monkeypatch.context() as broken:
        broken.setattr(Table, "_call", unreachable)
        if queue:
            assert invoke(envelope((3, 5)))["status"] == "DEFERRED"
        else:
            takes_nothing(broken)
            with pytest.raises(QueueUnavailable, match="Lambda is to try again"):
                invoke(envelope((3, 5)))

    assert hubspot.calls == []


def test_a_key_that_belongs_to_another_request_fails_the_invocation(functions: Deployment) -> None:
    invoke(envelope((3, 5), idempotencyKey="k"))

    with pytest.raises(ValueError, match="belongs to another request"):
        invoke(envelope((3, 6), idempotencyKey="k"))
