"""Claims, settlements and pages over moto's DynamoDB."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from aws.dynamodb import Table
from ledger.claim import ClaimStatus
from ledger.ledger import Ledger
from model.errors import LeaseLost, LedgerUnavailable
from model.outcomes import Attempt, Doubt, HubSpotResponse, Outcome, Status, Trigger, Verdict, new_outcome
from model.records import iso
from tests.support.aws import Deployment
from tests.support.fakes import START, request

LEASE = START + timedelta(seconds=45)


def finish(ledger: Ledger, outcome: Outcome, fence: int, status: Status = Status.COMPLETE) -> Outcome:
    done = replace(outcome, status=status, finished_at=START)
    ledger.settle(done, fence)
    return done


def test_a_claim_and_a_settlement_are_two_writes(ledger: Ledger, deployment: Deployment) -> None:
    claim = ledger.claim(request("m-1", (3, 5)), "one", START, LEASE)
    finish(ledger, claim.outcome, claim.fence)

    item = deployment.dynamodb.get_item(TableName=deployment.table, Key={"id": {"S": "m-1"}})["Item"]
    assert (claim.claim_status, claim.fence, claim.abandoned) == (ClaimStatus.CLAIMED, 1, False)
    assert item["pairKey"] == {"S": "default#0-3#0-1"}
    assert item["sortKey"] == {"S": f"{iso(START)}#m-1"}
    assert item["expiresAt"] == {"N": str(int((START + timedelta(days=400)).timestamp()))}
    assert item.keys() & {"leaseUntil", "holder"} == set()


@pytest.mark.parametrize(
    ("trigger", "found_by"),
    [
        (Trigger.QUEUE, [None, None, "default#FAILED"]),
        (Trigger.WEBHOOK, ["default#RUNNING", None, "default#FAILED"]),
        (Trigger.SCHEDULE, ["default#RUNNING", None, "default#FAILED"]),
    ],
)
def test_the_index_by_status_has_what_is_looked_for_and_what_no_message_brings_back(
    ledger: Ledger, deployment: Deployment, trigger: Trigger, found_by: list[str | None]
) -> None:
    def entry(outcome_id: str) -> str | None:
        item = deployment.dynamodb.get_item(TableName=deployment.table, Key={"id": {"S": outcome_id}})["Item"]
        return item.get("statusKey", {}).get("S")

    found = []
    for number, status in enumerate([Status.COMPLETE, Status.FAILED]):
        (claim,) = ledger.claim_new([replace(request(f"m-{number}", (3, 5)), trigger=trigger)], "one", START, LEASE)
        assert claim
        found.append(entry(claim.outcome.id))
        finish(ledger, claim.outcome, claim.fence, status)
        found.append(entry(claim.outcome.id))

    runs, ended, failed = found_by
    assert found == [runs, ended, runs, failed]


def test_what_comes_back_is_found_by_its_status_also_while_it_runs(ledger: Ledger, deployment: Deployment) -> None:
    def entry() -> Any:
        return deployment.dynamodb.get_item(TableName=deployment.table, Key={"id": {"S": "m-1"}})["Item"]["statusKey"]

    (first,) = ledger.claim_new([request("m-1", (3, 5))], "one", START, LEASE)
    assert first
    ledger.requeue(first.outcome, first.fence)
    assert entry() == {"S": "default#QUEUED"}

    ledger.claim(request("m-1", (3, 5)), "two", START, LEASE)

    assert entry() == {"S": "default#RUNNING"}


def test_a_message_that_was_delivered_before_is_found_by_its_status(ledger: Ledger, deployment: Deployment) -> None:
    ledger.claim_new([replace(request("m-1", (3, 5)), redelivered=True)], "one", START, LEASE)

    item = deployment.dynamodb.get_item(TableName=deployment.table, Key={"id": {"S": "m-1"}})["Item"]
    assert item["statusKey"] == {"S": "default#RUNNING"}


def test_what_runs_and_has_no_pair_yet_is_found_by_its_status(ledger: Ledger, deployment: Deployment) -> None:
    ledger.claim_new([request("m-1", (3, 5), fromObjectType="p_car")], "one", START, LEASE)

    item = deployment.dynamodb.get_item(TableName=deployment.table, Key={"id": {"S": "m-1"}})["Item"]
    assert item["statusKey"] == {"S": "default#RUNNING"}


def test_what_was_first_written_stays_when_the_queue_takes_over(ledger: Ledger) -> None:
    asked = request("m-1", (3, 5))
    ledger.accept(asked, START)

    later = request("m-1", (3, 5), at=START + timedelta(hours=1))
    claim = ledger.claim(later, "one", START, LEASE)

    assert claim.outcome.requested_at == START
    assert claim.outcome.status is Status.RUNNING


def test_an_accepted_request_can_be_accepted_again_while_it_waits(ledger: Ledger) -> None:
    asked = request("m-1", (3, 5))

    assert [ledger.accept(asked, START).claim_status for _ in range(2)] == [ClaimStatus.CLAIMED, ClaimStatus.QUEUED]

    claim = ledger.claim(asked, "one", START, LEASE)
    assert ledger.accept(asked, START).claim_status is ClaimStatus.LEASED
    assert ledger.accept(request("m-1", (3, 6)), START).claim_status is ClaimStatus.KEY_REUSED
    finish(ledger, claim.outcome, claim.fence)
    assert ledger.accept(asked, START).claim_status is ClaimStatus.FINAL


def test_of_many_claims_in_one_write_those_of_new_requests_are_made(ledger: Ledger) -> None:
    known, queued = request("m-1", (3, 5)), replace(request("m-2", (3, 5)), outcome_id="m-2")
    ledger.claim(known, "one", START, LEASE)
    ledger.accept(queued, START)
    new = request("m-3", (3, 5), (4, 6))
    reused = request("m-3", (3, 7))  # the same id for something else

    claims = ledger.claim_new([known, queued, new], "one", START, LEASE)

    assert [claim is not None for claim in claims] == [False, False, True]
    alone = ledger.claim(request("m-4", (3, 5), (4, 6)), "one", START, LEASE)
    assert claims[2] == replace(alone, outcome=replace(alone.outcome, id="m-3"))
    assert ledger.get("m-3") == claims[2].outcome
    assert ledger.claim_new([reused], "two", START, LEASE) == [None]
    assert ledger.claim(reused, "two", START, LEASE).claim_status is ClaimStatus.KEY_REUSED


def test_where_no_request_can_be_new_nothing_is_written(ledger: Ledger) -> None:
    queued = [replace(request(f"m-{n}", (3, 5)), outcome_id=f"m-{n}") for n in range(2)]

    assert ledger.claim_new(queued, "one", START, LEASE) == [None, None]


def test_of_many_settlements_in_one_write_only_a_holders_are_made(ledger: Ledger) -> None:
    asked = [request(f"m-{number}", (3, 5)) for number in range(3)]
    claims = [claim for claim in ledger.claim_new(asked, "one", START, LEASE) if claim]
    done = [replace(claim.outcome, status=Status.COMPLETE, finished_at=START) for claim in claims]
    ledger.settle(replace(done[1], status=Status.DEFERRED, retry_at=START, reason="503"), 1)
    ledger.claim(asked[1], "two", LEASE, LEASE)

    assert ledger.settle_many([(outcome, 1) for outcome in done]) == [True, False, True]

    assert [ledger.get("m-0"), ledger.get("m-2")] == [done[0], done[2]]
    taken_over = ledger.get("m-1")
    assert taken_over is not None
    assert taken_over.status is Status.RUNNING


def test_a_settlement_among_many_leaves_the_same_item_as_one_alone(ledger: Ledger, deployment: Deployment) -> None:
    asked = [replace(request(f"m-{number}", (3, 5), (4, 6)), doubt=Doubt(since=START)) for number in range(4)]
    claims = [ledger.claim(each, "one", START, LEASE) for each in asked]
    said = HubSpotResponse(http_status=207, body='{"status":"COMPLETE"}')
    attempt = Attempt(at=START, call="batch_create", verdict=Verdict.ANSWERED)
    complete: dict[str, Any] = {
        "status": Status.COMPLETE,
        "finished_at": START,
        "hubspot": said,
        "attempts": (attempt,),
        "doubt": None,
    }
    deferred: dict[str, Any] = {"status": Status.DEFERRED, "retry_at": LEASE, "reason": 'it\'s "HubSpot": 503?'}
    outcomes = [
        replace(claim.outcome, **told)
        for claim, told in zip(claims, [complete, deferred, complete, deferred], strict=True)
    ]

    for outcome in outcomes[:2]:
        ledger.settle(outcome, 1)
    assert ledger.settle_many([(outcome, 1) for outcome in outcomes[2:]]) == [True, True]

    def kept(number: int) -> dict[str, Any]:
        found = deployment.dynamodb.get_item(TableName=deployment.table, Key={"id": {"S": f"m-{number}"}})["Item"]
        return {name: value for name, value in found.items() if name not in {"id", "sortKey"}}

    assert [kept(2), kept(3)] == [kept(0), kept(1)]


def test_a_deferred_request_can_be_claimed_again_and_was_not_abandoned(ledger: Ledger) -> None:
    first = ledger.claim(request("m-1", (3, 5)), "one", START, LEASE)
    deferred = replace(first.outcome, status=Status.DEFERRED, retry_at=LEASE, reason="503")
    ledger.settle(deferred, first.fence)
    assert ledger.get("m-1") == deferred

    second = ledger.claim(request("m-1", (3, 5)), "two", LEASE, LEASE)

    assert (second.fence, second.abandoned) == (2, False)
    assert second.outcome.retry_at is None
    assert second.outcome.reason is None


def test_a_deferred_request_is_parked_until_its_time_and_its_fence_does_not_grow(ledger: Ledger) -> None:
    first = ledger.claim(request("m-1", (3, 5)), "one", START, LEASE)
    told: dict[str, Any] = {
        "status": Status.DEFERRED,
        "retry_at": LEASE,
        "reason": "503",
        "doubt": Doubt(since=START, in_vain=2),
    }
    deferred = replace(first.outcome, **told)
    ledger.settle(deferred, first.fence)

    for early in (START, LEASE - timedelta(milliseconds=1)):
        claim = ledger.claim(request("m-1", (3, 5)), "two", early, LEASE)
        assert (claim.claim_status, claim.outcome) == (ClaimStatus.DEFERRED, deferred)
    assert ledger.accept(request("m-1", (3, 5)), START).claim_status is ClaimStatus.DEFERRED

    second = ledger.claim(request("m-1", (3, 5)), "two", LEASE, LEASE)
    assert (second.claim_status, second.fence) == (ClaimStatus.CLAIMED, 2)
    assert second.outcome.doubt == deferred.doubt  # a claim forgets nothing that the next run must know


def test_a_doubt_is_forgotten_only_by_a_settlement_that_says_so(ledger: Ledger) -> None:
    replay = replace(request("m-1", (3, 5)), doubt=Doubt(since=START), replay_of="m-0")
    ledger.accept(replay, START)

    # As its message in the queue asks, which has no doubt.
    claim = ledger.claim(request("m-1", (3, 5)), "one", START, LEASE)
    assert (claim.outcome.doubt, claim.outcome.replay_of) == (Doubt(since=START), "m-0")

    finish(ledger, replace(claim.outcome, doubt=None), claim.fence)
    kept = ledger.get("m-1")
    assert kept is not None
    assert kept.doubt is None


def test_a_replay_is_linked_to_what_it_replays(ledger: Ledger) -> None:
    claim = ledger.claim(request("m-1", (3, 5)), "one", START, LEASE)
    done = finish(ledger, claim.outcome, claim.fence, Status.REJECTED)

    ledger.link(done, "m-2")
    ledger.link(done, "m-2")

    assert ledger.get("m-1") == replace(done, replayed_by="m-2")


def test_what_is_no_longer_there_is_not_made_again_by_a_link_or_a_sweep(ledger: Ledger) -> None:
    gone = new_outcome(request("m-1", (3, 5)), Status.REJECTED)

    ledger.link(gone, "m-2")
    ledger.swept(gone, START)

    assert ledger.get("m-1") is None


def test_an_abandoned_request_is_taken_over_after_its_lease_and_the_late_holder_is_fenced_off(ledger: Ledger) -> None:
    first = ledger.claim(request("m-1", (3, 5)), "one", START, LEASE)
    assert ledger.claim(request("m-1", (3, 5)), "two", LEASE, LEASE).claim_status is ClaimStatus.LEASED

    second = ledger.claim(request("m-1", (3, 5)), "two", LEASE + timedelta(milliseconds=1), LEASE)

    assert (second.fence, second.abandoned) == (2, True)
    with pytest.raises(LeaseLost):
        finish(ledger, first.outcome, first.fence, Status.REJECTED)
    finish(ledger, second.outcome, second.fence)
    with pytest.raises(LeaseLost):
        finish(ledger, first.outcome, first.fence, Status.REJECTED)
    kept = ledger.get("m-1")
    assert kept is not None
    assert kept.status is Status.COMPLETE


def test_a_settlement_whose_answer_was_lost_can_be_made_again_and_changes_nothing(ledger: Ledger) -> None:
    claim = ledger.claim(request("m-1", (3, 5)), "one", START, LEASE)
    done = finish(ledger, claim.outcome, claim.fence)

    finish(ledger, claim.outcome, claim.fence)

    assert ledger.get("m-1") == done


def test_a_claim_whose_answer_was_lost_is_ones_own_and_nobody_elses(ledger: Ledger) -> None:
    first = ledger.claim(request("m-1", (3, 5)), "one", START, LEASE)

    assert ledger.claim(request("m-1", (3, 5)), "two", START, LEASE).claim_status is ClaimStatus.LEASED
    assert ledger.claim(request("m-1", (3, 5)), "one", START, LEASE) == first

    finish(ledger, first.outcome, first.fence)
    assert ledger.claim(request("m-1", (3, 5)), "one", START, LEASE).claim_status is ClaimStatus.FINAL


def test_a_clock_that_is_ahead_makes_no_request_younger(ledger: Ledger) -> None:
    ahead = request("m-1", (3, 5), at=START + timedelta(hours=1))

    assert ledger.claim(ahead, "one", START, LEASE).outcome.requested_at == START
    (claim,) = ledger.claim_new([replace(ahead, own_id="m-2")], "one", START, LEASE)
    assert claim is not None
    assert claim.outcome.requested_at == START


def test_what_waited_in_vain_is_queued_again_with_its_doubt_unless_another_has_it(ledger: Ledger) -> None:
    claim = ledger.claim(request("m-1", (3, 5)), "one", START, LEASE)
    doubtful = replace(claim.outcome, doubt=Doubt(since=START))

    ledger.requeue(doubtful, claim.fence)
    second = ledger.claim(request("m-1", (3, 5)), "two", START, LEASE)
    assert (second.claim_status, second.abandoned) == (ClaimStatus.CLAIMED, False)
    assert second.outcome.doubt == Doubt(since=START)

    ledger.requeue(doubtful, claim.fence)  # late
    kept = ledger.get("m-1")
    assert kept is not None
    assert kept.status is Status.RUNNING


def test_only_the_latest_50_attempts_are_kept(ledger: Ledger) -> None:
    claim = ledger.claim(request("m-1", (3, 5)), "one", START, LEASE)
    attempts = tuple(Attempt(at=START, call=f"create {n}", verdict=Verdict.UNCERTAIN) for n in range(60))
    finish(ledger, replace(claim.outcome, attempts=attempts), claim.fence)

    kept = ledger.get("m-1")
    assert kept is not None
    assert [attempt.call for attempt in kept.attempts] == [f"create {n}" for n in range(10, 60)]


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "ProvisionedThroughputExceededException"}}, "UpdateItem"),
        EndpointConnectionError(endpoint_url="https://dynamodb.test"),
    ],
    ids=repr,
)
def test_a_table_that_cannot_be_reached_is_said_to_be(error: Exception) -> None:
    class Unreachable:
        def __getattr__(self, operation: str) -> Any:
            def fail(**_: object) -> None:
                raise error

            return fail

    client: Any = Unreachable()
    ledger = Ledger(Table(client, "outcomes"), timedelta(days=1))

    assert ledger.claim_new([request("m-1", (3, 5))], "one", START, LEASE) == [None]  # each is to be claimed alone
    with pytest.raises(LedgerUnavailable, match="put_item failed"):
        ledger.accept(request("m-1", (3, 5)), START)
    with pytest.raises(LedgerUnavailable, match="update_item failed"):
        ledger.claim(request("m-1", (3, 5)), "one", START, LEASE)
    with pytest.raises(LedgerUnavailable, match="get_item failed"):
        ledger.get("m-1")
