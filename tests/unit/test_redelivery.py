"""How the request of a message is tried again: by a new message, or by its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import cast

import pytest

from aws.sqs import Queue
from envelopes import Message
from ledger.claim import Claim, ClaimStatus
from model.outcomes import Request, Status, new_outcome
from redelivery import try_again
from tests.support.events import attributes, sqs_event
from tests.support.fakes import START, FakeQueue, envelope, request

Unfinished = tuple[Message, Request, Claim]


def waiting(
    message_id: str,
    asked: Request,
    status: ClaimStatus,
    seconds: float,
    receives: int = 1,
    fence: int = 0,
    **sent_with: str,
) -> Unfinished:
    """A message, with these attributes, whose request must wait for so many seconds and was claimed `fence` times."""
    told = {"ApproximateReceiveCount": str(receives), "SentTimestamp": "0"}
    message = {"body": envelope((3, 5)), "messageId": message_id, "attributes": told}
    (record,) = sqs_event({**message, "messageAttributes": attributes(**sent_with)})["Records"]
    claim = Claim(status, new_outcome(asked, Status.DEFERRED), fence, lease_until=START + timedelta(seconds=seconds))
    return {**record, "receiptHandle": f"handle of {message_id}"}, asked, claim


def again(queue: FakeQueue, unfinished: Sequence[Unfinished], *, in_time: bool = True) -> list[str]:
    return try_again(unfinished, cast(Queue, queue), START, lambda: 1.0, lambda: in_time)


@pytest.mark.parametrize("seconds", [0, 900, 9_999])
def test_what_the_ledger_knows_is_sent_on_and_holds_nothing_in_flight(seconds: float) -> None:
    queue = FakeQueue()

    returned = again(queue, [waiting("m-1", request("m-1", (3, 5)), ClaimStatus.CLAIMED, seconds)])

    assert (queue.sent_on, queue.hidden) == ({"m-1": timedelta(seconds=seconds)}, {})
    assert returned == []


@pytest.mark.parametrize("status", [ClaimStatus.CLAIMED, ClaimStatus.DEFERRED])
def test_what_waits_in_the_ledger_alone_needs_no_message(status: ClaimStatus) -> None:
    queue = FakeQueue()
    message, asked, claim = waiting("m-1", request("m-1", (3, 5)), status, 9_999)
    parked = replace(claim, outcome=replace(claim.outcome, parked=True))

    assert again(queue, [(message, asked, parked)]) == []
    assert (queue.sent_on, queue.hidden) == ({}, {})


@pytest.mark.parametrize("status", [ClaimStatus.CLAIMED, ClaimStatus.QUEUED, ClaimStatus.DEFERRED])
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


def test_what_another_worker_runs_comes_again_by_itself_when_its_claim_has_ended() -> None:
    queue = FakeQueue()

    assert again(queue, [waiting("m-1", request("m-1", (3, 5)), ClaimStatus.LEASED, 40)]) == ["m-1"]
    assert (queue.sent_on, queue.hidden) == ({}, {"handle of m-1": timedelta(seconds=40)})


@pytest.mark.parametrize("seconds", [9, 9_999])
@pytest.mark.parametrize(
    ("status", "fence", "receives", "sent_with", "overtaken"),
    [
        # Sent when it had been claimed four times, and claimed since from another message.
        (ClaimStatus.DEFERRED, 5, 1, {"OutcomeId": "o", "Claims": "4"}, True),
        (ClaimStatus.QUEUED, 5, 1, {"OutcomeId": "o", "Claims": "4"}, True),
        (ClaimStatus.DEFERRED, 4, 1, {"OutcomeId": "o", "Claims": "4"}, False),
        # Received before: that reader may have claimed it, and died before it sent it on.
        (ClaimStatus.DEFERRED, 5, 2, {"OutcomeId": "o", "Claims": "4"}, False),
        (ClaimStatus.DEFERRED, 6, 2, {"OutcomeId": "o", "Claims": "4"}, True),
        # Run just now: then it goes on from here.
        (ClaimStatus.CLAIMED, 5, 1, {"OutcomeId": "o", "Claims": "4"}, False),
        # Each of two readers may have.
        (ClaimStatus.DEFERRED, 6, 3, {"OutcomeId": "o", "Claims": "4"}, False),
        # As its sender has sent it, so it had never been claimed.
        (ClaimStatus.DEFERRED, 1, 1, {}, True),
        (ClaimStatus.DEFERRED, 1, 2, {}, False),
        (ClaimStatus.DEFERRED, 2, 2, {}, True),
        # From the sweep, from the version before, or from a stranger.
        (ClaimStatus.DEFERRED, 5, 1, {"OutcomeId": "o"}, False),
        (ClaimStatus.DEFERRED, 5, 1, {"OutcomeId": "o", "Claims": "four"}, False),
    ],
)
def test_a_message_is_done_with_when_its_request_was_run_from_another_one_since(
    status: ClaimStatus, fence: int, receives: int, sent_with: dict[str, str], overtaken: bool, seconds: float
) -> None:
    queue = FakeQueue()
    message = waiting("m-1", request("m-1", (3, 5)), status, seconds, receives, fence, **sent_with)

    returned = again(queue, [message])

    assert returned == []
    assert bool(queue.sent_on) is not overtaken


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
