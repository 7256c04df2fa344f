"""What nobody waits for, and what cannot be done now, goes on in the queue, and its caller is told so."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta

import pytest

import production
import webhook
from ledger.leases import Lease, Wanted
from ledger.ledger import Ledger
from model.errors import LedgerUnavailable, QueueUnavailable
from model.pair import Pair
from tests.support.aws import Deployment
from tests.support.events import api_event
from tests.support.fakes import START, Clock, FakeHubSpot, failed
from tests.support.webhook import BODY, PATH, call, get, is_hubspots_error


def test_respond_async_is_queued_and_answered_at_once(functions: Deployment, hubspot: FakeHubSpot) -> None:
    status, body, headers = call(api_event("POST", PATH, body=BODY, Prefer="wait=5, Respond-Async"))

    assert status == 202
    assert headers["Preference-Applied"] == "respond-async"
    assert body["status"] == "PENDING"
    assert body["results"] == []
    assert get(headers["Location"])[1]["status"] == "QUEUED"
    (message,) = functions.messages()
    assert message["MessageAttributes"]["OutcomeId"]["StringValue"] == headers["Outcome-Id"]
    assert json.loads(message["Body"])["inputs"] == BODY["inputs"]
    assert hubspot.created == []


def test_what_could_not_be_queued_is_failed_and_said_so(functions: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def send(self, *_: object) -> None:
            raise QueueUnavailable("no queue")

    monkeypatch.setattr(webhook, "queue", Broken)

    status, body, _ = call(api_event("POST", PATH, body=BODY, Prefer="respond-async"))

    assert status == 503
    assert is_hubspots_error(body)
    (outcome,) = get("/outcomes", status="FAILED")[1]["results"]
    assert outcome["reason"] == "no queue"


def test_what_is_queued_already_is_not_given_up_when_it_cannot_be_sent_again(
    functions: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def send(self, *_: object) -> None:
            raise QueueUnavailable("no queue")

    first = call(api_event("POST", PATH, body=BODY, Prefer="respond-async", Idempotency_Key="k-3"))
    again = call(api_event("POST", PATH, body=BODY, Prefer="respond-async", Idempotency_Key="k-3"))
    monkeypatch.setattr(webhook, "queue", Broken)

    refused = call(api_event("POST", PATH, body=BODY, Prefer="respond-async", Idempotency_Key="k-3"))

    assert [answered[0] for answered in (first, again, refused)] == [202, 202, 503]
    assert first[2]["Outcome-Id"] == again[2]["Outcome-Id"]
    assert get(first[2]["Location"])[1]["status"] == "QUEUED"


def test_what_hubspot_cannot_take_now_goes_on_in_the_queue(functions: Deployment, hubspot: FakeHubSpot) -> None:
    hubspot.replies = [failed(429)]

    status, body, headers = call(api_event("POST", PATH, body=BODY))

    assert status == 202
    assert body["status"] == "PENDING"
    assert "Preference-Applied" not in headers
    outcome = get(headers["Location"])[1]
    assert outcome["status"] == "DEFERRED"
    assert outcome["reason"] == "HubSpot answered 429"
    assert outcome["retryAt"] == "2026-11-23T09:00:10.000Z"
    attributes = functions.sqs.get_queue_attributes(QueueUrl=functions.queue_url, AttributeNames=["All"])["Attributes"]
    assert attributes["ApproximateNumberOfMessagesDelayed"] == "1"


def test_a_doubt_is_looked_up_whatever_else_fails_after_it(functions: Deployment, hubspot: FakeHubSpot) -> None:
    hubspot.replies = [failed(503), failed(401), failed(401)]
    hubspot.reads = [failed(503)]
    body = {"inputs": [{**BODY["inputs"][0], "typeId": n} for n in range(1, 151)]}

    status, _, headers = call(api_event("POST", PATH, body=body))

    assert status == 202
    outcome = get(headers["Location"])[1]
    assert outcome["status"] == "DEFERRED"
    assert "doubt" not in outcome  # it is ours, and no part of the answer


def test_a_request_whose_pair_another_worker_holds_for_more_than_five_seconds_goes_on_in_the_queue(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock
) -> None:
    pair = Wanted("default", Pair("0-3", "0-1"))
    production.leases().take_many([pair], "another worker", clock(), clock() + timedelta(minutes=1))

    status, body, headers = call(api_event("POST", PATH, body=BODY))

    assert (status, body["status"], headers["Outcome-Status"]) == (202, "PENDING", "QUEUED")
    assert 5 <= round((clock() - START).total_seconds(), 3) < 6  # a clock of microseconds rounds each wait
    assert get(headers["Location"])[1]["status"] == "QUEUED"
    (message,) = functions.messages()
    assert message["MessageAttributes"]["OutcomeId"]["StringValue"] == headers["Outcome-Id"]
    assert hubspot.calls == []


def test_a_request_whose_pair_is_given_back_in_time_is_answered_at_once(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = Wanted("default", Pair("0-3", "0-1"))
    (lease,) = production.leases().take_many([pair], "another worker", clock(), clock() + timedelta(minutes=1))
    assert isinstance(lease, Lease)

    def sleep(seconds: float) -> None:
        clock.advance(seconds)
        if clock() - START > timedelta(seconds=2):
            production.leases().give_back(lease, clock())

    monkeypatch.setattr(production, "sleep", sleep)

    status, _, headers = call(api_event("POST", PATH, body=BODY))

    assert (status, headers["Outcome-Status"]) == (201, "COMPLETE")
    assert clock() - START < timedelta(seconds=3)


def test_what_could_not_be_settled_goes_on_in_the_queue(
    functions: Deployment, hubspot: FakeHubSpot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object) -> None:
        raise LedgerUnavailable("throttled")

    def unwritten(self: Ledger, settled: Sequence[object], also: Sequence[object] = ()) -> list[bool]:
        return [False] * (len(settled) + len(also))

    monkeypatch.setattr(Ledger, "settle_many", unwritten)
    monkeypatch.setattr(Ledger, "settle", unreachable)

    status, _, headers = call(api_event("POST", PATH, body=BODY))

    assert (status, headers["Outcome-Status"]) == (202, "DEFERRED")
    attributes = functions.sqs.get_queue_attributes(QueueUrl=functions.queue_url, AttributeNames=["All"])["Attributes"]
    assert attributes["ApproximateNumberOfMessagesDelayed"] == "1"
