"""The dead-letter queue's entry point: a letter is run alone, as another message may have killed its reader."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

import dead_letters
import production
from aws.dynamodb import Table
from model.errors import LedgerUnavailable
from model.outcomes import Status
from tests.support.aws import Deployment
from tests.support.events import sqs_event
from tests.support.fakes import (
    START,
    Clock,
    FakeHubSpot,
    FakeQueue,
    envelope,
    failed,
    key,
)
from tests.support.letters import ASKED, BODY, LETTER, left_by_a_run, read, receive, settle


@pytest.mark.parametrize("kills", range(dead_letters.RUNS))
def test_a_letter_is_run_alone_whatever_its_receives_and_though_it_has_killed_a_few(
    functions: Deployment, hubspot: FakeHubSpot, kills: int
) -> None:
    often = {"ApproximateReceiveCount": "51", "SentTimestamp": "1795424400000"}
    letters: list[dict[str, Any]] = [
        {"body": BODY, "attributes": often},
        {"body": envelope((3, 9)), "attributes": often},
    ]

    assert settle(sqs_event(*letters), kills) == []

    assert [read(f"message-{n}").status for n in range(2)] == [Status.COMPLETE] * 2
    assert hubspot.limits == {key(3): 9, key(4): 5}
    assert hubspot.calls == ["create"] * 2  # and not in one call


def test_a_letter_whose_reader_died_is_read_back_before_it_is_sent(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock
) -> None:
    production.ledger().claim(ASKED, "worker", START, START + timedelta(seconds=45))
    clock.advance(600)

    assert receive(LETTER) == []

    assert read().status is Status.COMPLETE
    assert hubspot.calls[0] == "read"


def test_a_letter_that_must_wait_goes_on_in_the_main_queue_and_its_kills_are_forgotten(
    functions: Deployment, hubspot: FakeHubSpot, fake_queue: FakeQueue, clock: Clock
) -> None:
    hubspot.replies = [failed(429)]

    assert settle(LETTER, kills=2) == []

    assert read().status is Status.DEFERRED
    assert fake_queue.sent_on == {"message-0": timedelta(seconds=10)}
    clock.advance(3600)
    assert settle(LETTER, kills=2) == []
    assert read().status is Status.COMPLETE


@pytest.mark.parametrize("waits", ["for its time", "for its worker"])
def test_a_letter_whose_time_has_not_come_goes_on_in_the_main_queue_and_is_not_run_however_often(
    functions: Deployment, hubspot: FakeHubSpot, fake_queue: FakeQueue, clock: Clock, waits: str
) -> None:
    if waits == "for its time":
        hubspot.replies = [failed(429)]
        left_by_a_run()
    else:
        production.ledger().claim(ASKED, "worker", clock(), clock() + timedelta(seconds=10))
    before = read()

    for _ in range(dead_letters.RUNS + 2):
        assert receive(LETTER) == []

    assert read() == before
    assert fake_queue.sent_on == {"message-0": timedelta(seconds=10)}


def test_a_letter_that_cannot_be_sent_on_comes_again(
    functions: Deployment, hubspot: FakeHubSpot, fake_queue: FakeQueue
) -> None:
    hubspot.replies = [failed(429)]
    left_by_a_run()
    fake_queue.broken = True

    assert [receive(LETTER) for _ in range(dead_letters.RUNS + 2)] == [["message-0"]] * (dead_letters.RUNS + 2)
    assert read().status is Status.DEFERRED


def test_a_letter_without_the_ledger_comes_again_and_is_not_given_up(
    functions: Deployment, hubspot: FakeHubSpot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise LedgerUnavailable("throttled")

    with monkeypatch.context() as patched:
        patched.setattr(Table, "_call", unreachable)
        for _ in range(dead_letters.RUNS + 2):
            assert receive(LETTER) == ["message-0"]

    assert hubspot.calls == []
    assert receive(LETTER) == []
    assert read().status is Status.COMPLETE
