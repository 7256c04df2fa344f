"""run() sends what requests ask for in few calls, and writes down what HubSpot made of each input."""

from __future__ import annotations

from datetime import timedelta

from batch_create.handler import run
from ledger.claim import ClaimStatus
from ledger.ledger import Ledger
from model.outcomes import Result, Status, Verdict
from tests.support.fakes import (
    START,
    Clock,
    FakeHubSpot,
    Service,
    answer,
    echo,
    failed,
    key,
    ports,
    request,
)
from tests.support.ledger import read, results


def test_a_request_that_goes_well_is_complete_and_every_input_applied(
    ledger: Ledger, hubspot: FakeHubSpot, clock: Clock
) -> None:
    (ran,) = run([request("m-1", (3, 5), (5, 1))], 30, ports(ledger, hubspot, clock))

    assert ran.claim_status is ClaimStatus.CLAIMED
    outcome = read(ledger, "m-1")
    assert outcome == ran.outcome
    assert outcome.status is Status.COMPLETE
    assert results(outcome) == [Result.APPLIED, Result.APPLIED]
    assert outcome.hubspot is not None
    assert (outcome.hubspot.http_status, outcome.hubspot.status, outcome.hubspot.correlation_id) == (
        201,
        "COMPLETE",
        "c-1",
    )
    assert outcome.started_at == outcome.finished_at == START
    assert [attempt.verdict for attempt in outcome.attempts] == [Verdict.ANSWERED]


def test_a_207_is_split_over_the_inputs(ledger: Ledger, hubspot: FakeHubSpot, clock: Clock) -> None:
    error = {"message": "typeId 5 does not exist for deals to contacts", "category": "VALIDATION_ERROR"}
    hubspot.replies = [lambda inputs: answer([echo(inputs[0])], http_status=207, errors=[error], numErrors=1)]

    run([request("m-1", (3, 5), (5, 1))], 30, ports(ledger, hubspot, clock))

    outcome = read(ledger, "m-1")
    assert outcome.status is Status.PARTIAL
    assert results(outcome) == [Result.APPLIED, Result.REJECTED]
    assert outcome.inputs[1].message == error["message"]


def test_requests_for_one_pair_share_a_call_and_the_latest_number_wins(
    ledger: Ledger, hubspot: FakeHubSpot, clock: Clock
) -> None:
    earlier = request("m-1", (3, 5), (4, 2), at=START)
    later = request("m-2", (3, 7), at=START + timedelta(seconds=1))
    same = request("m-3", (4, 2), at=START)

    run([later, earlier, same], 30, ports(ledger, hubspot, clock))

    assert len(hubspot.created) == 1
    assert hubspot.limits == {key(3): 7, key(4): 2}
    first = read(ledger, "m-1")
    assert first.status is Status.COMPLETE
    assert results(first) == [Result.SUPERSEDED, Result.APPLIED]
    assert first.inputs[0].superseded_by == "m-2"
    assert read(ledger, "m-3").status is Status.COMPLETE


def test_an_earlier_number_is_sent_when_the_later_one_is_refused(
    ledger: Ledger, hubspot: FakeHubSpot, clock: Clock
) -> None:
    hubspot.replies = [answer([], http_status=207, errors=[{"message": "too high"}], numErrors=1)]
    requests = [request("m-1", (3, 5)), request("m-2", (3, 99_999), at=START + timedelta(seconds=1))]

    run(requests, 30, ports(ledger, hubspot, clock))

    assert read(ledger, "m-1").status is Status.COMPLETE
    assert read(ledger, "m-2").status is Status.REJECTED
    assert hubspot.limits == {key(3): 5}


def test_pauses_grow_up_to_a_quarter_of_an_hour_and_never_undercut_hubspots_own(
    ledger: Ledger, hubspot: FakeHubSpot, clock: Clock
) -> None:
    pauses = []
    for _ in range(12):
        hubspot.replies = [failed(429)]
        (ran,) = run([request("m-1", (3, 5))], 30, ports(ledger, hubspot, clock))
        assert ran.outcome.retry_at is not None
        pauses.append((ran.outcome.retry_at - clock()).total_seconds())
        clock.time = ran.outcome.retry_at

    assert pauses[:4] == [10, 10, 10, 10]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 900 * 0.5


def test_every_call_is_written_down_and_the_latest_50_are_kept() -> None:
    service, asked = Service(), request("m-1", (3, 5))
    for number in range(60):
        service.hubspot.replies = [failed(429, correlation_id=f"c-{number}")]
        (outcome,) = service.run(asked)
        service.clock.time = outcome.retry_at or START

        seen = range(max(0, number - 49), number + 1)
        assert [attempt.correlation_id for attempt in outcome.attempts] == [f"c-{n}" for n in seen]
    (done,) = service.run(asked)

    assert [attempt.verdict for attempt in done.attempts] == [*[Verdict.UNAVAILABLE] * 49, Verdict.ANSWERED]


def test_a_request_larger_than_a_batch_is_cut_and_its_answers_joined(
    ledger: Ledger, hubspot: FakeHubSpot, clock: Clock
) -> None:
    run([request("m-1", *((n, n) for n in range(1, 8)))], 30, ports(ledger, hubspot, clock, batch_size=3))

    outcome = read(ledger, "m-1")
    assert [len(inputs) for _, inputs in hubspot.created] == [3, 3, 1]
    assert outcome.status is Status.COMPLETE
    assert outcome.hubspot is not None
    assert outcome.hubspot.body is not None
    assert outcome.hubspot.body.count("userEnforcedMaxToObjectIds") == 7
