"""What nobody waits for, and what cannot be done now, goes on in the queue, and its caller is told so."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta

import pytest

import production
import sweep
from ledger.leases import Lease, Wanted
from ledger.ledger import Ledger
from model.errors import LedgerUnavailable
from model.pair import Pair
from tests.support.aws import Deployment
from tests.support.events import Context, api_event
from tests.support.fakes import START, Clock, FakeHubSpot, failed
from tests.support.queue import deliver, takes_nothing
from tests.support.webhook import BODY, PATH, call, get


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


@pytest.mark.parametrize("key", [None, "k-3"])
def test_what_could_not_be_queued_is_accepted_and_the_sweep_sends_it(
    key: str | None, functions: Deployment, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        takes_nothing(broken)
        (status, body, headers), again = (
            call(api_event("POST", PATH, body=BODY, Prefer="respond-async", Idempotency_Key=key)) for _ in range(2)
        )

    assert (status, body["status"], again[0]) == (202, "PENDING", 202)
    assert (again[2]["Outcome-Id"] == headers["Outcome-Id"]) is (key is not None)
    assert done_by_the_sweep(functions, clock, headers) == "COMPLETE"


@pytest.mark.parametrize("applied", [False, True])
def test_what_was_sent_without_a_clear_answer_and_could_not_be_queued_is_accepted(
    applied: bool, functions: Deployment, hubspot: FakeHubSpot, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    hubspot.replies, hubspot.reads, hubspot.applies = [failed(503)], [failed(503)], applied
    with monkeypatch.context() as broken:
        takes_nothing(broken)
        status, body, headers = call(api_event("POST", PATH, body=BODY))

    assert (status, body["status"]) == (202, "PENDING")
    assert done_by_the_sweep(functions, clock, headers) == "COMPLETE"


def done_by_the_sweep(functions: Deployment, clock: Clock, headers: dict[str, str]) -> str:
    """The status of an outcome that no message was sent for, after the next sweep."""
    assert functions.messages() == []
    clock.advance(3600)
    assert sweep.handler({}, Context(time_left=60_000))["swept"] >= 1
    deliver(functions)
    return str(get(headers["Location"])[1]["status"])


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
