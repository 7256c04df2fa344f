"""The sweep: what nothing takes further any more goes back on the queue, once, and is finished from there."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

import consumer
import production
import sweep
from aws.sqs import Queue
from batch_create.handler import run
from ledger.ledger import STUCK_AFTER, SWEPT_AGAIN_AFTER, Ledger
from ledger.register import LANDING
from model.errors import LedgerUnavailable, QueueUnavailable
from model.outcomes import Doubt, Outcome, Request, Result, Status, Trigger
from tests.support.aws import Deployment
from tests.support.events import Context, attributes, sqs_event
from tests.support.fakes import START, Clock, FakeHubSpot, failed, in_memory, request
from tests.support.ledger import Lagging
from tests.support.queue import consume, takes_nothing

ASKED = replace(request("m-1", (3, 5), requestedBy="me"), trigger=Trigger.WEBHOOK)
SECOND = timedelta(seconds=1)
LEASE = timedelta(seconds=45)


def swept(time_left: int = 60_000) -> int:
    """How many outcomes a sweep puts back."""
    answered: dict[str, int] = sweep.handler({}, Context(time_left=time_left))
    return answered["swept"]


def read(outcome_id: str = "m-1") -> Outcome:
    outcome = production.ledger().get(outcome_id)
    assert outcome is not None
    return outcome


# ---------------------------------------------------------------------------------------------------- what can be stuck
def accepted_and_never_sent(hubspot: FakeHubSpot) -> timedelta:
    production.ledger().accept(ASKED, START)
    return timedelta()


def begun_by_a_worker_that_died(hubspot: FakeHubSpot) -> timedelta:
    production.ledger().claim(ASKED, "worker", START, START + LEASE)
    return LEASE


def deferred_and_its_message_lost(hubspot: FakeHubSpot) -> timedelta:
    hubspot.replies = [failed(477, retry_after=600)]
    run([ASKED], 30, production.production())
    return timedelta(minutes=10)


stuck = pytest.mark.parametrize(
    "get_stuck", [accepted_and_never_sent, begun_by_a_worker_that_died, deferred_and_its_message_lost]
)


@stuck
def test_what_is_stuck_is_put_back_once_and_continues_its_own_outcome(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock, get_stuck: Callable[[FakeHubSpot], timedelta]
) -> None:
    due = START + get_stuck(hubspot)

    clock.time = due + STUCK_AFTER
    assert swept() == 0  # it may still be on its way

    clock.time += SECOND
    before = read()
    assert swept() == 1
    assert read() == before
    (message,) = functions.messages()

    assert consume(message) == []
    done = read()
    assert done.status is Status.COMPLETE
    assert (done.trigger, done.requested_at, done.requested_by) == (Trigger.WEBHOOK, START, "me")
    assert hubspot.limits == {("HUBSPOT_DEFINED", 3): 5}
    assert production.ledger().get("message-0") is None

    clock.advance(1_000_000)
    assert swept() == 0


@stuck
def test_what_was_put_back_is_left_to_the_queue_for_12_hours(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock, get_stuck: Callable[[FakeHubSpot], timedelta]
) -> None:
    first = START + get_stuck(hubspot) + STUCK_AFTER + SECOND
    counts = []
    for later in (timedelta(), SECOND, timedelta(hours=1), SWEPT_AGAIN_AFTER - SECOND, SWEPT_AGAIN_AFTER + SECOND):
        clock.time = first + later
        counts.append(swept())

    assert counts == [1, 0, 0, 0, 1]
    assert len(functions.messages()) == 2


def test_given_what_waits_in_the_ledger_when_its_portal_has_no_gate_it_gets_one(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock
) -> None:
    hubspot.replies = [failed(477, retry_after=7200)]
    run([ASKED], 30, production.production())
    production.gates().go_on(next(production.gates().due(START + timedelta(hours=2))), None)
    clock.time = START + timedelta(hours=2) + STUCK_AFTER + SECOND

    assert swept() == 0

    assert functions.messages() == []
    assert [gate.portal for gate in production.gates().due(clock())] == ["default"]


@pytest.mark.parametrize("status", [status for status in Status if status.final])
def test_what_is_over_is_never_swept(functions: Deployment, clock: Clock, status: Status) -> None:
    claim = production.ledger().claim(ASKED, "worker", START, START + LEASE)
    production.ledger().settle(replace(claim.outcome, status=status, finished_at=START), claim.fence)
    clock.advance(1_000_000)

    assert swept() == 0


def test_what_a_message_brings_back_is_not_swept(functions: Deployment, clock: Clock) -> None:
    asked = request("message-0", (3, 5))
    production.ledger().claim_new([asked], "worker that died", START, START + LEASE)
    clock.advance(3600)
    assert swept() == 0

    # Once it has come back its message may be gone: an operator may move it, or purge the queue.
    production.ledger().claim(asked, "worker that dies too", clock(), clock() + LEASE)
    clock.advance(3600)
    assert swept() == 1


def test_every_portal_is_swept(functions: Deployment, clock: Clock) -> None:
    for portal in ("default", "acme"):
        production.ledger().accept(request(f"m-{portal}", (3, 5), portal=portal), START)
    clock.advance(3600)

    assert swept() == 2
    sent = {message["MessageAttributes"]["OutcomeId"]["StringValue"] for message in functions.messages()}
    assert sent == {"m-default", "m-acme"}


def test_a_sweep_whose_time_is_up_leaves_the_rest_to_the_next(functions: Deployment, clock: Clock) -> None:
    for number in range(3):
        production.ledger().accept(request(f"m-{number}", (3, 5)), START)
    clock.advance(3600)

    assert swept(time_left=9_999) == 0
    assert swept(time_left=10_000) == 3


def test_where_the_time_does_not_reach_the_oldest_are_put_back(
    functions: Deployment, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        production.ledger().accept(request(f"m-{number}", (3, 5), at=START + SECOND * number), START + SECOND * number)
    clock.advance(3600)
    left = iter([60_000, 60_000, 9_999])  # for the portal, and for the first outcome
    context = Context()
    monkeypatch.setattr(context, "get_remaining_time_in_millis", lambda: next(left))

    assert sweep.handler({}, context) == {"swept": 1}

    (message,) = functions.messages()
    assert message["MessageAttributes"]["OutcomeId"]["StringValue"] == "m-0"


def test_a_sweep_looks_at_the_time_though_it_finds_nothing(functions: Deployment, clock: Clock) -> None:
    for number in range(5):
        production.portal_registry().add(f"p-{number}", START)
    looked = 0

    class Watching(Context):
        def get_remaining_time_in_millis(self) -> int:
            nonlocal looked
            looked += 1
            return 60_000

    sweep.handler({}, Watching())

    assert looked >= 5


def test_the_age_of_the_oldest_open_request_is_measured_however_often_it_was_deferred(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    def measured() -> float:
        capsys.readouterr()
        swept()
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "OldestOpen" in line]
        return float(*lines[0]["OldestOpen"])

    assert measured() == 0
    hubspot.replies = [failed(503)] * 4
    hubspot.reads = [failed(503)] * 4
    for _ in range(4):
        run([ASKED], 30, production.production())
        clock.advance(3600)
    run([request("m-2", (4, 5), at=clock())], 30, production.production())

    assert measured() == pytest.approx(4 * 3600, abs=60)


# ---------------------------------------------------------------------------------------------- pairs that are verified
def may_be_undone(hubspot: FakeHubSpot, clock: Clock, portal: str = "default") -> datetime:
    """A younger request's number is set, and an older one's call may land after it. When a reading tells."""
    hubspot.replies, hubspot.reads = [failed(503)], [failed(503)]
    (older,) = run([request(f"older-{portal}", (3, 5), portal=portal, at=clock())], 30, production.production())
    assert older.outcome.doubt is not None
    clock.advance(10)
    # Somebody waits for the younger one, which does not wait for the call to land.
    younger = request(f"younger-{portal}", (3, 9), portal=portal, at=clock(), interactive=True)
    run([younger], 30, production.production())
    lag = timedelta(seconds=production.settings().read_lag_seconds)
    return older.outcome.doubt.since + LANDING + lag


def asked_to_verify(functions: Deployment) -> list[str]:
    sent = (message["MessageAttributes"] for message in functions.messages())
    return [each["Verify"]["StringValue"] for each in sent if "Verify" in each]


def test_a_pair_is_asked_to_be_verified_from_when_on_a_reading_tells(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock
) -> None:
    clock.time = may_be_undone(hubspot, clock) - 60 * SECOND
    assert swept() == 0
    assert asked_to_verify(functions) == []

    clock.time += 61 * SECOND
    assert swept() == 0

    assert asked_to_verify(functions) == ["default#0-3#0-1"]
    (message,) = functions.messages()
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(message["Body"])


def test_a_pair_is_asked_to_be_verified_until_it_is(functions: Deployment, hubspot: FakeHubSpot, clock: Clock) -> None:
    clock.time = may_be_undone(hubspot, clock) + SECOND
    swept()
    swept()
    assert asked_to_verify(functions) == ["default#0-3#0-1"] * 2
    hubspot.limits["HUBSPOT_DEFINED", 3] = 5  # a late call

    message = {"body": "a pair to be verified", "messageAttributes": attributes(Verify="default#0-3#0-1")}
    assert consumer.handler(sqs_event(message), Context(time_left=60_000)) == {"batchItemFailures": []}
    assert hubspot.limits == {("HUBSPOT_DEFINED", 3): 9}

    # Another reading shows that it stands, and then no more is asked for.
    for _ in range(5):
        clock.advance(1200)
        consumer.handler(sqs_event(message), Context(time_left=60_000))
    before = len(asked_to_verify(functions))
    swept()
    assert len(asked_to_verify(functions)) == before


def test_every_portals_pairs_are_asked_to_be_verified(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock
) -> None:
    may_be_undone(hubspot, clock)
    clock.time = may_be_undone(hubspot, clock, "acme") + SECOND

    swept()

    assert sorted(asked_to_verify(functions)) == ["acme#0-3#0-1", "default#0-3#0-1"]


def test_a_sweep_whose_time_is_up_leaves_verifications_to_the_next(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock
) -> None:
    clock.time = may_be_undone(hubspot, clock) + SECOND

    swept(time_left=9_999)
    assert asked_to_verify(functions) == []
    swept(time_left=10_000)
    assert asked_to_verify(functions) == ["default#0-3#0-1"]


# --------------------------------------------------------------------------------------------------- when it goes wrong
def test_a_sweep_that_dies_before_it_took_note_sends_it_twice_and_it_is_done_once(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    production.ledger().accept(ASKED, START)
    clock.advance(3600)
    note = Ledger.swept

    def die(*_: object) -> None:
        raise LedgerUnavailable("throttled")

    monkeypatch.setattr(Ledger, "swept", die)
    with pytest.raises(LedgerUnavailable):
        swept()
    monkeypatch.setattr(Ledger, "swept", note)

    assert swept() == 1
    messages = functions.messages()
    assert len(messages) == 2
    assert [consume(message) for message in messages] == [[], []]
    assert read().status is Status.COMPLETE
    assert len(hubspot.created) == 1


def test_a_queue_that_takes_nothing_fails_the_sweep_and_the_next_one_does_it(
    functions: Deployment, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    production.ledger().accept(ASKED, START)
    clock.advance(3600)
    with monkeypatch.context() as broken:
        takes_nothing(broken)
        with pytest.raises(QueueUnavailable):
            swept()

    assert swept() == 1


def test_an_outcome_that_sqs_does_not_take_stops_no_other_and_fails_the_sweep(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        production.ledger().accept(request(f"m-{number}", (3, 5)), START + timedelta(minutes=number))
    clock.advance(3 * 3600)
    send = Queue.send

    def refusing(self: Queue, continued: Request, *when: datetime) -> None:
        if continued.id == "m-3":
            raise QueueUnavailable("the request could not be queued (InvalidMessageContents)")
        send(self, continued, *when)

    monkeypatch.setattr(Queue, "send", refusing)

    with pytest.raises(QueueUnavailable, match="InvalidMessageContents"):
        swept()

    sent = {message["MessageAttributes"]["OutcomeId"]["StringValue"] for message in functions.messages()}
    assert sent == {"m-0", "m-1", "m-2", "m-4"}


def test_what_moves_on_while_it_is_swept_is_left_as_it_is(functions: Deployment, clock: Clock) -> None:
    production.ledger().accept(ASKED, START)
    clock.advance(3600)
    ((found, stuck),) = production.ledger().unfinished("default", clock())
    assert stuck
    run([ASKED], 30, production.production())
    done = read()

    production.ledger().swept(found, clock())

    assert read() == done
    item = functions.dynamodb.get_item(TableName=functions.table, Key={"id": {"S": "m-1"}})["Item"]
    assert "sweptAt" not in item


# --------------------------------------------------------------------------------------------------------- many of them
def test_of_hundreds_each_is_found_once_whatever_its_status() -> None:
    clock = Clock()
    ledger = Ledger(in_memory(clock), timedelta(days=1))
    for number in range(250):
        asked = replace(request(f"m-{number}", (3, 5), at=START + SECOND * number), trigger=Trigger.WEBHOOK)
        if number % 5 == 4:
            claim = ledger.claim(asked, "worker", START, START + LEASE)
            told: dict[str, Any] = (
                {"status": Status.DEFERRED, "retry_at": START, "reason": "503"} if number % 10 == 4 else {}
            )
            if told:
                ledger.settle(replace(claim.outcome, **told), claim.fence)
        else:
            ledger.accept(asked, START)
    clock.advance(3600)

    found = [outcome.id for outcome, is_stuck in ledger.unfinished("default", clock()) if is_stuck]

    assert sorted(found) == sorted(f"m-{number}" for number in range(250))


def test_what_a_lagging_index_still_shows_as_running_is_not_stuck() -> None:
    clock = Clock()
    table: Any = in_memory(clock)
    ledger = Ledger(Lagging(table._client, "outcomes"), timedelta(days=1))
    claim = ledger.claim(ASKED, "worker", START, START + LEASE)
    clock.advance(3600)
    ledger.settle(replace(claim.outcome, status=Status.REJECTED, finished_at=clock()), claim.fence)

    assert list(ledger.unfinished("default", clock())) == []


def test_a_stuck_replay_is_continued_with_the_doubt_that_it_was_accepted_with(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock
) -> None:
    replay = Request(ASKED.envelope, Trigger.WEBHOOK, "m-2", START, replay_of="m-1", doubt=Doubt(since=START))
    production.ledger().accept(replay, START)
    hubspot.limits["HUBSPOT_DEFINED", 3] = 5
    clock.advance(3600)

    assert swept() == 1
    (message,) = functions.messages()
    assert consume(message) == []

    assert hubspot.calls == ["read"]
    assert (read("m-2").inputs[0].result, read("m-2").replay_of) == (Result.APPLIED, "m-1")
