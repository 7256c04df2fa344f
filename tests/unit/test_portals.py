"""Portals come and go without a deployment, by whichever way their requests come in."""

from __future__ import annotations

import json
from datetime import timedelta
from uuid import uuid4

import pytest

import consumer
import production
import scheduled
import sweep
from ledger.ledger import STUCK_AFTER
from model.contract import DEFAULT_PORTAL
from model.outcomes import Outcome, Result, Status
from tests.support.aws import PREFIX, Deployment
from tests.support.events import Context, api_event, attributes, sqs_event
from tests.support.fakes import START, Clock, FakeHubSpot, envelope, failed, request
from tests.support.webhook import BODY, PATH, call, get, is_hubspots_error

MINUTE = timedelta(minutes=1)
MEMORY = timedelta(minutes=5)  # of a secret


class Portal:
    """One that nobody has deployed, whose owner makes, ends and loses its secret."""

    def __init__(self, functions: Deployment) -> None:
        self.name = f"portal-{uuid4().hex[:8]}"
        self._secrets = functions.secrets

    def begin(self) -> None:
        self._secrets.create_secret(Name=f"{PREFIX}/{self.name}", SecretString=json.dumps({"accessToken": "new"}))

    def end(self) -> None:
        ended = json.dumps({"accessToken": "new", "ended": True})
        self._secrets.put_secret_value(SecretId=f"{PREFIX}/{self.name}", SecretString=ended)

    def lose(self) -> None:
        self._secrets.delete_secret(SecretId=f"{PREFIX}/{self.name}", ForceDeleteWithoutRecovery=True)

    @property
    def path(self) -> str:
        return f"/portals/{self.name}{PATH}"


@pytest.fixture
def portal(functions: Deployment) -> Portal:
    return Portal(functions)


def consume(portal: Portal, outcome_id: str = "message-0") -> Outcome:
    """Deliver a message for the portal, and return its outcome."""
    body = json.dumps(envelope((3, 5), portal=portal.name))
    consumer.handler(
        sqs_event({"body": body, "messageAttributes": attributes(OutcomeId=outcome_id)}), Context(time_left=60_000)
    )
    return read(outcome_id)


def read(outcome_id: str) -> Outcome:
    outcome = production.ledger().get(outcome_id)
    assert outcome is not None
    return outcome


def test_a_portal_that_is_added_at_run_time_works(portal: Portal, hubspot: FakeHubSpot) -> None:
    assert call(api_event("POST", portal.path, body=BODY))[0] == 404
    portal.begin()

    assert consume(portal).status is Status.COMPLETE
    assert list(production.portal_registry().names()) == [portal.name]


def test_an_unknown_portal_is_404_by_http_and_leaves_nothing(
    functions: Deployment, portal: Portal, hubspot: FakeHubSpot
) -> None:
    for reply in (call(api_event("POST", portal.path, body=BODY)), get("/outcomes", portal=portal.name)):
        status, error, _ = reply
        assert status == 404
        assert is_hubspots_error(error)
        assert error["message"] == f"there is no portal {portal.name}"

    assert hubspot.calls == []
    assert functions.dynamodb.scan(TableName=functions.table)["Items"] == []


def test_an_unknown_portals_message_and_schedule_end_rejected(portal: Portal, hubspot: FakeHubSpot) -> None:
    answer = scheduled.handler(envelope((3, 5), portal=portal.name), Context(time_left=60_000))

    for outcome in (consume(portal), read(answer["outcomeId"])):
        assert outcome.status is Status.REJECTED
        assert (outcome.inputs[0].message or "").startswith(f"there is no portal {portal.name}")
    assert hubspot.calls == []


def test_what_is_open_when_a_portal_ends_is_failed_and_can_be_read(
    portal: Portal, hubspot: FakeHubSpot, clock: Clock
) -> None:
    portal.begin()
    hubspot.replies = [failed(477, retry_after=3600)]
    assert consume(portal).status is Status.DEFERRED
    portal.end()
    clock.time += timedelta(hours=1)

    outcome = consume(portal)

    assert outcome.status is Status.FAILED
    assert "has been ended" in (outcome.reason or "")
    assert [item.result for item in outcome.inputs] == [Result.PENDING]
    assert hubspot.calls == ["create"]
    assert call(api_event("POST", portal.path, body=BODY))[0] == 404
    assert [each["id"] for each in get("/outcomes", portal=portal.name)[1]["results"]] == ["message-0"]
    assert get("/outcomes", portal=portal.name, status="PARTIAL")[0] == 200


def test_what_may_have_been_sent_when_a_portal_ends_is_unconfirmed(
    portal: Portal, hubspot: FakeHubSpot, clock: Clock
) -> None:
    portal.begin()
    hubspot.replies, hubspot.reads = [failed(503)], [failed(503)]
    consume(portal)
    portal.end()
    clock.time += timedelta(hours=1)

    outcome = consume(portal)

    assert outcome.status is Status.FAILED
    assert [item.result for item in outcome.inputs] == [Result.UNCONFIRMED]


def test_what_waits_for_a_secret_that_is_gone_ends_after_a_day(
    portal: Portal, hubspot: FakeHubSpot, clock: Clock
) -> None:
    portal.begin()
    hubspot.replies = [failed(477, retry_after=600)]
    consume(portal)
    portal.lose()
    clock.time += timedelta(minutes=10)
    began = clock()

    while not (outcome := consume(portal)).status.final:
        assert "is not there; what waits for it ends at" in (outcome.reason or "")
        clock.time += timedelta(hours=1)  # longer than any pause, so that there are fewer

    assert outcome.status is Status.FAILED
    assert clock() - began == timedelta(days=1)
    assert hubspot.calls == ["create"]


def test_a_pair_of_an_ended_portal_is_verified_no_more(portal: Portal, hubspot: FakeHubSpot, clock: Clock) -> None:
    portal.begin()
    hubspot.replies, hubspot.reads = [failed(503)], [failed(503)]
    consume(portal)
    clock.time += timedelta(seconds=30)
    consume(portal, "m-2")
    portal.end()
    clock.time += timedelta(hours=1)
    assert consume(portal).status.final

    assert production.leases().due(portal.name, clock() + timedelta(days=1)) == []


def test_a_sweep_that_must_stop_early_begins_elsewhere_the_next_time(functions: Deployment, clock: Clock) -> None:
    for number in range(7):
        production.portal_registry().add(f"p-{number}", START)
    began = set()

    for _ in range(200):
        began.add(sweep._portals()[0])
        assert set(sweep._portals()) == {*(f"p-{number}" for number in range(7)), "default", "acme"}
        clock.time += timedelta(minutes=5)

    assert len(began) == 9


def test_the_sweep_finds_what_is_stuck_in_every_portal_that_was_used(
    functions: Deployment, portal: Portal, clock: Clock
) -> None:
    portal.begin()
    assert call(api_event("POST", portal.path, body=BODY))[0] == 201  # so that it is known
    for number, name in enumerate((portal.name, DEFAULT_PORTAL)):
        production.ledger().accept(request(f"m-{number}", (3, 5), portal=name), START)
    clock.time += STUCK_AFTER + MINUTE

    assert sweep.handler({}, Context(time_left=60_000)) == {"swept": 2}
