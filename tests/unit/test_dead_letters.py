"""The dead-letter queue's entry point: what has killed each run ends FAILED in the
ledger, and nothing else is touched."""

from __future__ import annotations

import json
import random
import string
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import consumer
import production
import webhook
from aws.dynamodb import Table
from envelopes import from_event
from ledger.claim import ClaimStatus
from ledger.items import size
from ledger.ledger import Ledger
from model.errors import LedgerUnavailable
from model.outcomes import HubSpotResponse, Outcome, Request, Result, Status, Trigger
from model.records import iso
from tests.support.aws import Deployment
from tests.support.events import Context, api_event, attributes, load, sqs_event
from tests.support.fakes import (
    START,
    Clock,
    FakeHubSpot,
    answer,
    echo,
    envelope,
    failed,
    in_memory,
    request,
)
from tests.support.letters import ASKED, BODY, LETTER, left_by_a_run, read, receive, settle

GIVEN_UP = "given up, as its message killed every function that received it"


def has_failed(outcome: Outcome, clock: Clock) -> bool:
    """Whether an outcome is over, and nothing is left in it for a next run."""
    just_now = outcome.finished_at is not None and iso(outcome.finished_at) == iso(clock())
    return outcome.status is Status.FAILED and just_now and outcome.retry_at is None and outcome.doubt is None


# ------------------------------------------------------------------------------------------------ what the ledger holds
def test_a_request_that_no_run_ever_saw_gets_its_outcome_from_its_dead_letter(
    functions: Deployment, clock: Clock
) -> None:
    assert settle(LETTER) == []

    outcome = read()
    assert has_failed(outcome, clock)
    assert outcome.reason == GIVEN_UP
    assert outcome.received == BODY
    assert [item.result for item in outcome.inputs] == [Result.PENDING] * 2
    assert (outcome.trigger, outcome.requested_at) == (Trigger.QUEUE, datetime(2026, 11, 23, 9, 0, tzinfo=UTC))


def test_an_accepted_request_that_never_ran_fails_with_nothing_done(functions: Deployment, clock: Clock) -> None:
    production.ledger().accept(ASKED, START)

    assert settle(LETTER) == []

    assert has_failed(read(), clock)
    assert read().received == BODY
    assert [item.result for item in read().inputs] == [Result.PENDING] * 2


def test_a_queued_request_with_a_doubt_that_killed_its_readers_is_unconfirmed_and_what_is_decided_stays(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock
) -> None:
    hubspot.replies = [lambda inputs: answer([echo(inputs[0])])]
    hubspot.reads = [failed(503)]
    waiting = left_by_a_run()
    assert waiting.doubt is not None
    assert waiting.retry_at is not None
    clock.time = waiting.retry_at
    claim = production.ledger().claim(ASKED, "worker", clock(), clock() + timedelta(seconds=45))
    production.ledger().requeue(claim.outcome, claim.fence)
    clock.advance(46)

    assert settle(LETTER) == []

    assert has_failed(read(), clock)
    assert [item.result for item in read().inputs] == [Result.APPLIED, Result.UNCONFIRMED]
    assert "may have been sent" in (read().inputs[1].message or "")


def test_a_request_that_killed_its_workers_may_have_been_sent(functions: Deployment, clock: Clock) -> None:
    production.ledger().claim(ASKED, "worker", START, START + timedelta(seconds=45))
    clock.advance(46)

    assert settle(LETTER) == []

    assert has_failed(read(), clock)
    assert read().received == BODY
    # Its worker died without a word, and may have sent everything.
    assert [item.result for item in read().inputs] == [Result.UNCONFIRMED] * 2


def test_a_worker_that_was_given_up_cannot_settle_any_more(functions: Deployment, clock: Clock) -> None:
    claim = production.ledger().claim(ASKED, "worker", START, START + timedelta(seconds=45))
    clock.advance(46)
    settle(LETTER)
    before = read()

    with pytest.raises(Exception, match="message-0"):
        production.ledger().settle(replace(claim.outcome, status=Status.COMPLETE), claim.fence)
    assert read() == before


def test_a_request_that_is_taken_up_at_the_same_moment_is_kept(
    functions: Deployment, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail = Ledger.fail

    def after_another(self: Ledger, *arguments: Any) -> ClaimStatus:
        self.claim(ASKED, "worker", clock(), clock() + timedelta(seconds=45))
        return fail(self, *arguments)

    monkeypatch.setattr(Ledger, "fail", after_another)

    assert settle(LETTER) == ["message-0"]
    assert read().status is Status.RUNNING


def test_a_request_that_is_over_is_not_touched(functions: Deployment) -> None:
    done = left_by_a_run()
    assert done.status is Status.COMPLETE

    assert settle(LETTER) == []
    assert read() == done


def test_a_dead_letter_of_what_is_complete_is_not_counted_as_a_failure(
    functions: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    left_by_a_run()
    capsys.readouterr()

    settle(LETTER)

    assert "OutcomeFailed" not in capsys.readouterr().out


def test_what_is_given_up_is_counted_for_its_alarm(functions: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    settle(LETTER)

    assert '"OutcomeFailed":[1.0]' in capsys.readouterr().out.replace(" ", "")


@pytest.mark.parametrize("body", [BODY, "not json"])
def test_a_dead_letter_that_comes_twice_changes_nothing_the_second_time(
    functions: Deployment, clock: Clock, body: str
) -> None:
    settle(sqs_event({"body": body}))
    first = read()
    clock.advance(3600)

    assert settle(sqs_event({"body": body})) == []
    assert read() == first


def test_what_was_given_up_stays_so_when_its_message_turns_up_again(
    functions: Deployment, hubspot: FakeHubSpot
) -> None:
    settle(LETTER)

    assert consumer.handler(LETTER, Context()) == {"batchItemFailures": []}
    assert read().status is Status.FAILED
    assert hubspot.calls == []


def test_a_message_that_continues_an_outcome_fails_that_outcome(functions: Deployment, clock: Clock) -> None:
    production.ledger().accept(Request(ASKED.envelope, Trigger.WEBHOOK, "outcome-7", START, client="crm"), START)

    assert settle(sqs_event({"body": BODY, "messageAttributes": attributes(OutcomeId="outcome-7")})) == []

    assert has_failed(read("outcome-7"), clock)
    assert (read("outcome-7").trigger, read("outcome-7").client) == (Trigger.WEBHOOK, "crm")
    assert production.ledger().get("message-0") is None


# ------------------------------------------------------------------------------------------------------- who gave it up
def test_what_lambda_gave_up_is_the_outcome_of_its_invocation_and_says_why(functions: Deployment) -> None:
    event = load("dead_letter_lambda")
    (letter,) = event["Records"]
    letter["body"] = json.dumps(envelope((3, 5)))

    assert settle(event) == []

    outcome = read("c6af9ac6-7b61-11e6-9a41-93e8deadbeef")
    assert outcome.status is Status.FAILED
    assert outcome.reason == "given up: the request could not be queued (ClientError)"
    assert (outcome.trigger, outcome.received) == (Trigger.SCHEDULE, letter["body"])


@pytest.mark.parametrize("name", ["dead_letter_lambda", "dead_letter_scheduler"])
def test_a_schedules_firing_has_one_outcome_whoever_gave_it_up(functions: Deployment, name: str) -> None:
    event = load(name)
    (letter,) = event["Records"]
    fired = from_event(json.loads(letter["body"]), "any invocation", START)

    assert settle(event) == []

    outcome = read(fired.id)
    assert (outcome.status, outcome.trigger) == (Status.FAILED, Trigger.SCHEDULE)
    assert outcome.requested_by == "limits/deals-to-contacts.yaml"
    assert outcome.received == letter["body"]


def test_what_scheduler_could_not_deliver_says_why(functions: Deployment) -> None:
    event = load("dead_letter_scheduler")
    (letter,) = event["Records"]
    letter["body"] = json.dumps(envelope((3, 5)))

    assert settle(event) == []

    outcome = read(letter["messageId"])
    assert (outcome.reason, outcome.trigger) == ("given up: Rate exceeded", Trigger.SCHEDULE)


def test_a_rules_event_that_lambda_gave_up_is_the_outcome_of_the_event(functions: Deployment) -> None:
    event = load("dead_letter_lambda")
    event["Records"][0]["body"] = json.dumps(load("rule"))

    assert settle(event) == []

    assert read(load("rule")["id"]).status is Status.FAILED


# --------------------------------------------------------------------------------------------------- not even a request
@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ("not json", "not valid JSON"),
        ("[]", "must be a JSON object"),
        (json.dumps(envelope((3, 5), portal="Un known")), "portal: must match"),
        (json.dumps(envelope((3, 0))), "inputs[0].maxToObjectIds: must be at least 1"),
    ],
)
@pytest.mark.parametrize("given_up_by", [{}, attributes(RequestID="i-1", ErrorMessage="boom")], ids=["queue", "lambda"])
def test_what_is_no_request_is_kept_as_failed_under_its_messages_id(
    functions: Deployment, clock: Clock, body: str, wrong: str, given_up_by: dict[str, Any]
) -> None:
    assert settle(sqs_event({"body": body, "messageAttributes": given_up_by})) == []

    outcome = read()
    assert has_failed(outcome, clock)
    assert wrong in (outcome.reason or "")
    assert (outcome.reason or "").startswith(
        "given up: boom; it is no request: " if given_up_by else "given up; it is no request: "
    )
    assert (outcome.received, outcome.inputs) == (body, ())
    assert outcome.trigger is (Trigger.SCHEDULE if given_up_by else Trigger.QUEUE)


def test_of_a_long_message_the_beginning_is_kept(functions: Deployment) -> None:
    settle(sqs_event({"body": "é" * 100_000}))

    assert read().received == "é" * 48_000


# -------------------------------------------------------------------------------------------------------------- failing
@pytest.mark.parametrize("body", ["not json", BODY])
def test_without_the_ledger_the_queue_keeps_the_message(
    functions: Deployment, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise LedgerUnavailable("throttled")

    monkeypatch.setattr(Table, "put_new", unreachable)

    assert settle(sqs_event({"body": body}, {"body": body})) == ["message-0", "message-1"]


def test_messages_of_a_batch_do_not_touch_each_other(functions: Deployment, clock: Clock) -> None:
    production.ledger().claim(request("message-1", (3, 5)), "worker", clock(), clock() + timedelta(seconds=45))

    kept = receive(sqs_event({"body": "{"}, {"body": envelope((3, 5))}, {"body": envelope((3, 5))}))

    assert kept == []
    assert [read(f"message-{n}").status for n in range(3)] == [Status.FAILED, Status.RUNNING, Status.COMPLETE]


def test_a_verification_that_was_given_up_is_left_as_the_sweep_asks_again(
    functions: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {"body": "a pair to be verified", "messageAttributes": attributes(Verify="default#0-3#0-1")}

    assert settle(sqs_event(asked)) == []

    assert production.ledger().get("message-0") is None
    assert "OutcomeFailed" not in capsys.readouterr().out


def test_an_empty_batch_is_answered(functions: Deployment) -> None:
    assert settle({"Records": []}) == []


def test_a_rules_event_that_lacks_its_id_is_no_request(functions: Deployment) -> None:
    by_hand = {"detail-type": "by hand", "detail": envelope((3, 5))}

    assert settle(sqs_event({"body": by_hand, "messageAttributes": attributes(RequestID="i-1")})) == []
    assert read().status is Status.FAILED


@pytest.mark.parametrize("status", [Status.COMPLETE, Status.DEFERRED])
def test_a_dead_letter_whose_key_belongs_to_another_request_is_kept_as_its_own_and_leaves_the_other_alone(
    functions: Deployment, hubspot: FakeHubSpot, status: Status
) -> None:
    hubspot.replies = [failed(429)] if status is Status.DEFERRED else []
    other = left_by_a_run(request("m-9", (3, 5), idempotencyKey="k"))
    assert other.status is status

    assert receive(sqs_event({"body": envelope((3, 6), idempotencyKey="k")})) == []

    assert read(other.id) == other
    assert read("message-0").status is Status.FAILED


def test_an_outcome_of_any_size_can_be_given_up() -> None:
    clock = Clock()
    table = in_memory(clock)
    ledger = Ledger(table, timedelta(days=1))
    asked = request("m-1", *((n, 1) for n in range(1, 501)))
    noise = "".join(random.Random(1).choices(string.printable, k=330_000))  # about all that fits beside the inputs
    claim = ledger.claim(asked, "worker", START, START + timedelta(seconds=45))
    large = HubSpotResponse(http_status=503, body=noise)
    told: dict[str, Any] = {"status": Status.DEFERRED, "retry_at": START, "reason": "503", "hubspot": large}
    ledger.settle(replace(claim.outcome, **told), claim.fence)

    ledger.fail(asked, "given up", "é" * 48_000, START)

    assert size(table.get("m-1")) <= 409_600


def test_whoever_asks_with_the_same_key_is_not_told_that_what_is_unconfirmed_was_done(
    functions: Deployment, hubspot: FakeHubSpot
) -> None:
    path = "/crm/associations/2026-03/definitions/configurations/deals/contacts/batch/create"
    event = api_event("POST", path, body={"inputs": envelope((3, 5))["inputs"]}, Idempotency_Key="k")
    hubspot.replies, hubspot.reads = [failed(503)], [failed(503)]
    outcome_id = webhook.handler(event, Context())["multiValueHeaders"]["Outcome-Id"][0]
    again = request("m-1", (3, 5), at=START)
    production.ledger().fail(replace(again, outcome_id=outcome_id), "given up", "", START)
    assert read(outcome_id).inputs[0].result is Result.UNCONFIRMED

    said = webhook.handler(event, Context())

    assert said["statusCode"] == 502
    assert "0 of 1 inputs were done" in said["body"]
