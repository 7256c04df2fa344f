"""An answer that says it is done is believed by what is there, and sent in vain only so often."""

from __future__ import annotations

from datetime import timedelta

from batch_create.read_back import SENT_IN_VAIN
from ledger.register import Register
from model.outcomes import Result, Status
from tests.support.fakes import START, FakeHubSpot, Service, answer, echo, failed, key, request
from tests.support.one_limit import ASKED, only

WINDOW = Register(timedelta(minutes=5)).window / 1000
IN_VAIN = f"HubSpot answered COMPLETE {SENT_IN_VAIN} times, gave no error, and did not set it"


def test_an_answer_that_sets_nothing_and_says_complete_is_sent_again_until_it_is_taken_at_what_it_does() -> None:
    service = Service(FakeHubSpot(replies=[answer([])] * 20))

    outcome = service.run_until_final(ASKED)

    assert (outcome.status, outcome.doubt) == (Status.REJECTED, None)
    assert only(outcome) == (Result.REJECTED, IN_VAIN)
    assert len(service.hubspot.created) >= SENT_IN_VAIN


def test_what_was_sent_in_vain_is_sent_as_often_as_it_is_said() -> None:
    service = Service(FakeHubSpot(replies=[answer([])] * 20))

    service.run_until_final(ASKED)

    assert len(service.hubspot.created) == SENT_IN_VAIN


def test_what_was_sent_in_vain_is_rejected_only_when_a_reading_tells_of_the_last_send() -> None:
    service = Service(FakeHubSpot(replies=[answer([])] * SENT_IN_VAIN))

    outcome = service.run_until_final(ASKED)

    assert outcome.status is Status.REJECTED
    last_sent = max(attempt.at for attempt in outcome.attempts if attempt.call != "read")
    last_read = max(attempt.at for attempt in outcome.attempts if attempt.call == "read")
    assert (last_read - last_sent).total_seconds() >= WINDOW


def test_what_was_sent_in_vain_frees_no_older_request_before_it_is_rejected() -> None:
    service = Service(FakeHubSpot(replies=[answer([])] * SENT_IN_VAIN))
    older = request("m-0", (3, 4), at=START - timedelta(seconds=1))
    (outcome,) = service.run(ASKED)

    while not outcome.status.final:
        (waits,) = service.run(older)
        assert (waits.status, service.hubspot.limits) == (Status.DEFERRED, {})
        assert outcome.retry_at is not None
        service.clock.time = outcome.retry_at
        (outcome,) = service.run(ASKED)

    assert outcome.status is Status.REJECTED
    assert only(service.run_until_final(older)) == (Result.APPLIED, None)
    assert service.hubspot.limits == {key(3): 4}


def test_other_failures_do_not_count_as_sent_in_vain_and_do_not_end_the_count() -> None:
    empty = [answer([])] * 20
    service = Service(FakeHubSpot(replies=[empty[0], failed(503), empty[0], failed(522), *empty]))

    outcome = service.run_until_final(ASKED)

    assert only(outcome) == (Result.REJECTED, IN_VAIN)
    assert len(service.hubspot.created) >= SENT_IN_VAIN + 2


def test_a_number_that_hubspot_echoes_and_keeps_instead_of_ours_is_a_refusal() -> None:
    service = Service(FakeHubSpot(replies=[answer([echo(ASKED.envelope.inputs[0], 7)])]))

    (outcome,) = service.run(ASKED)

    assert outcome.status is Status.REJECTED
    assert only(outcome) == (Result.REJECTED, "HubSpot set 7 instead")
    assert service.hubspot.calls == ["create", "read", "read"]


def test_a_number_that_hubspot_echoes_is_no_refusal_while_it_can_be_our_own_of_before() -> None:
    service = Service()
    before = request("m-0", (3, 7), at=START - timedelta(seconds=1))
    service.run(before)
    kept = [answer([echo(ASKED.envelope.inputs[0], 7)]) for _ in range(9)]
    service.hubspot.replies = [*kept]

    (outcome,) = service.run(ASKED)
    assert outcome.status is Status.DEFERRED

    service.clock.time = START + timedelta(seconds=WINDOW)
    service.hubspot.replies = [*kept]
    outcome = service.run_until_final(ASKED)
    assert only(outcome) == (Result.REJECTED, "HubSpot set 7 instead")


def test_an_echo_of_no_number_sets_nothing() -> None:
    row = {**echo(ASKED.envelope.inputs[0]), "userEnforcedMaxToObjectIds": None}
    service = Service(FakeHubSpot(replies=[answer([row])] * 20))

    assert only(service.run_until_final(ASKED)) == (Result.REJECTED, IN_VAIN)


def test_an_echo_of_another_number_is_no_refusal_when_ours_is_there() -> None:
    row = echo(ASKED.envelope.inputs[0], 7)
    service = Service(FakeHubSpot(replies=[answer([row])], reads=[{key(3): 7}, {key(3): 5}]))

    (outcome,) = service.run(ASKED)

    assert only(outcome) == (Result.APPLIED, "proved by reading back")


def test_an_echo_of_a_number_that_is_not_there_is_sent_again() -> None:
    row = echo(ASKED.envelope.inputs[0], 7)
    service = Service(FakeHubSpot(replies=[answer([row])], reads=[{}, {}]))

    (outcome,) = service.run(ASKED)

    assert only(outcome) == (Result.APPLIED, None)
    assert service.hubspot.calls == ["create", "read", "read", "create"]
