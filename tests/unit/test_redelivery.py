"""How the request of a message is tried again: by a new message, or by its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

import pytest

from aws.sqs import Queue
from envelopes import Message
from ledger.claim import Claim, ClaimStatus
from model.outcomes import Request, Status, new_outcome
from redelivery import try_again
from tests.support.events import sqs_event
from tests.support.fakes import START, FakeQueue, envelope, request

Unfinished = tuple[Message, Request, Claim]


def waiting(message_id: str, asked: Request, status: ClaimStatus, seconds: float, receives: int = 1) -> Unfinished:
    """A message whose request must wait for so many seconds."""
    told = {"ApproximateReceiveCount": str(receives), "SentTimestamp": "0"}
    (message,) = sqs_event({"body": envelope((3, 5)), "messageId": message_id, "attributes": told})["Records"]
    claim = Claim(status, new_outcome(asked, Status.DEFERRED), lease_until=START + timedelta(seconds=seconds))
    return {**message, "receiptHandle": f"handle of {message_id}"}, asked, claim


def again(queue: FakeQueue, unfinished: Sequence[Unfinished], *, in_time: bool = True) -> list[str]:
    return try_again(unfinished, cast(Queue, queue), START, lambda: 1.0, lambda: in_time)


@pytest.mark.parametrize(
    ("seconds", "sent_on", "hidden"),
    [
        (0, {"m-1": timedelta(0)}, {}),
        (900, {"m-1": timedelta(seconds=900)}, {}),
        (901, {}, {"handle of m-1": timedelta(seconds=901)}),
    ],
)
def test_what_the_ledger_knows_is_sent_on_if_sqs_can_delay_it_for_so_long(
    seconds: float, sent_on: dict[str, Any], hidden: dict[str, Any]
) -> None:
    queue = FakeQueue()

    returned = again(queue, [waiting("m-1", request("m-1", (3, 5)), ClaimStatus.CLAIMED, seconds)])

    assert (queue.sent_on, queue.hidden) == (sent_on, hidden)
    assert returned == (["m-1"] if hidden else [])


@pytest.mark.parametrize("status", [ClaimStatus.CLAIMED, ClaimStatus.QUEUED, ClaimStatus.LEASED, ClaimStatus.DEFERRED])
def test_what_the_ledger_knows_is_sent_on_however_it_stands(status: ClaimStatus) -> None:
    queue = FakeQueue()

    assert again(queue, [waiting("m-1", request("m-1", (3, 5)), status, 9)]) == []
    assert list(queue.sent_on) == ["m-1"]


@pytest.mark.parametrize(("receives", "minutes"), [(1, 2), (2, 4), (7, 128), (8, 180), (1_000, 180)])
def test_what_the_ledger_could_not_be_asked_about_comes_again_by_itself_later_and_later(
    receives: int, minutes: int
) -> None:
    queue = FakeQueue()
    unknown = waiting("m-1", request("m-1", (3, 5)), ClaimStatus.LEDGER_UNAVAILABLE, 30, receives)

    assert again(queue, [unknown]) == ["m-1"]

    assert (queue.sent_on, queue.hidden) == ({}, {"handle of m-1": timedelta(minutes=minutes)})


def test_of_several_messages_of_one_request_one_is_sent_on() -> None:
    queue = FakeQueue()
    asked = request("m-1", (3, 5))

    assert again(queue, [waiting(each, asked, ClaimStatus.CLAIMED, 9) for each in ("m-1", "m-2")]) == []
    assert list(queue.sent_on) == ["m-1"]


def test_a_message_that_nobody_could_look_up_is_kept_though_another_one_has_its_key() -> None:
    queue = FakeQueue()
    one, other = (request(each, (3, number), idempotencyKey="k") for each, number in (("m-1", 5), ("m-2", 6)))

    returned = again(
        queue,
        [waiting("m-1", one, ClaimStatus.LEDGER_UNAVAILABLE, 30), waiting("m-2", other, ClaimStatus.CLAIMED, 9)],
    )

    assert returned == ["m-1"]
    assert list(queue.sent_on) == [other.id]


@pytest.mark.parametrize("in_time", [True, False])
def test_what_sqs_does_not_take_and_what_there_is_no_time_for_comes_again_by_itself(in_time: bool) -> None:
    queue = FakeQueue()
    queue.broken = in_time

    assert again(queue, [waiting("m-1", request("m-1", (3, 5)), ClaimStatus.CLAIMED, 9)], in_time=in_time) == ["m-1"]
    assert (queue.sent_on, queue.hidden) == ({}, {})
