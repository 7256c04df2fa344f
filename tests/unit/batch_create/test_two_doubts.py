"""Of two requests in doubt about one limit each is looked up by its own number, and the younger one wins."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ledger.register import LANDING, Register
from model.outcomes import Doubt, Request, Result, Status
from tests.support.fakes import START, Service, answer, echo, failed, key, request
from tests.support.one_limit import ASKED, only

WINDOW = Register(timedelta(minutes=5)).window / 1000
LANDED = LANDING.total_seconds() + 1


def in_doubt(service: Service, *requests: Request) -> None:
    """Let each request be sent in a run of its own, without an answer and without a reading."""
    for asked in requests:
        service.hubspot.replies, service.hubspot.reads = [failed(503)], [failed(503)]
        (outcome,) = service.run(asked)
        assert outcome.doubt == Doubt(since=service.clock())
        service.clock.advance(LANDED)  # else the younger would not be sent, as nothing can be read
    service.clock.advance(60)


OLDER, YOUNGER = request("m-1", (3, 5)), request("m-2", (3, 7), at=START + timedelta(seconds=1))


@pytest.mark.parametrize(
    ("there", "older", "younger", "creates"),
    [
        (7, Result.SUPERSEDED, Result.APPLIED, 0),
        (5, Result.APPLIED, Result.APPLIED, 1),
        (None, Result.SUPERSEDED, Result.APPLIED, 1),
        (9, Result.SUPERSEDED, Result.APPLIED, 1),
    ],
)
def test_of_two_doubts_about_one_limit_each_is_looked_up_by_its_own_number(
    there: int | None, older: Result, younger: Result, creates: int
) -> None:
    service = Service()
    in_doubt(service, OLDER, YOUNGER)
    service.hubspot.limits[key(3)] = there
    sent = len(service.hubspot.created)

    outcomes = service.run(OLDER, YOUNGER)

    assert [only(outcome)[0] for outcome in outcomes] == [older, younger]
    assert [outcome.status for outcome in outcomes] == [Status.COMPLETE] * 2
    assert service.hubspot.limits == {key(3): 7}
    assert len(service.hubspot.created) - sent == creates


def test_two_doubts_about_one_limit_wait_together_while_it_cannot_be_read() -> None:
    service = Service()
    in_doubt(service, OLDER, YOUNGER)
    service.hubspot.reads = [failed(503)] * 9
    sent = len(service.hubspot.created)

    outcomes = service.run(OLDER, YOUNGER)

    assert [outcome.status for outcome in outcomes] == [Status.DEFERRED] * 2
    assert all(outcome.doubt and not outcome.doubt.cleared for outcome in outcomes)
    assert len(service.hubspot.created) == sent


def test_two_doubts_about_one_limit_that_can_never_be_read_are_both_unconfirmed() -> None:
    service = Service()
    in_doubt(service, OLDER, YOUNGER)
    service.hubspot.reads = [failed(404)] * 9

    outcomes = service.run(OLDER, YOUNGER)

    assert [only(outcome)[0] for outcome in outcomes] == [Result.UNCONFIRMED] * 2
    assert "outcome m-2" in (outcomes[0].inputs[0].message or "")


def test_an_older_number_that_was_seen_is_not_sent_again_when_the_younger_one_is_refused() -> None:
    older, younger = request("m-1", (3, 5), (4, 2)), request("m-2", (3, 7), at=START + timedelta(seconds=1))
    service = Service()
    in_doubt(service, older, younger)
    service.clock.advance(WINDOW)
    service.hubspot.limits[key(3)] = 5
    sent = len(service.hubspot.created)
    service.hubspot.replies = [
        lambda inputs: answer([echo(i) for i in inputs if i.type_id == 4], errors=[{"message": "typeId 3 is too high"}])
    ]

    outcomes = service.run(older, younger)

    assert [outcome.status for outcome in outcomes] == [Status.COMPLETE, Status.UNCONFIRMED]
    assert [sorted(call) for call in service.hubspot.sent[sent:]] == [[3, 4]]  # of which 3 was the younger one's


@pytest.mark.parametrize(
    ("there", "result"), [(None, Result.REJECTED), (500_000, Result.REJECTED), (9, Result.UNCONFIRMED)]
)
def test_what_is_refused_after_a_send_in_doubt_is_rejected_only_if_nothing_could_have_set_it(
    there: int | None, result: Result
) -> None:
    service = Service()
    in_doubt(service, ASKED)
    if there:  # by somebody else, perhaps after ours
        service.hubspot.limits[key(3)] = there
    service.clock.advance(WINDOW)  # by now a reading tells what became of the send
    service.hubspot.replies = [lambda inputs: answer([], errors=[{"message": "typeId 3 is too high"}])]

    (outcome,) = service.run(ASKED)

    assert outcome.inputs[0].result is result
    assert "typeId 3 is too high" in (outcome.inputs[0].message or "")
    assert ("9 is there" in (outcome.inputs[0].message or "")) == (there == 9)
