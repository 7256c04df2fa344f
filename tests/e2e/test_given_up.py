"""What was given up: dead letters are run alone, and outcomes can be run again."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.deployed import LocalStack


def limit(type_id: int, number: int) -> dict[str, Any]:
    return {"category": "HUBSPOT_DEFINED", "typeId": type_id, "maxToObjectIds": number}


def refused(local: LocalStack, type_id: int, number: int) -> str:
    """The outcome's id of a request that HubSpot has refused, as the token lacks a scope, while its caller waited."""
    local.standin("POST", "faults", {"operation": "create", "times": 1, "effect": {"kind": "status", "status": 403}})
    answered = local.create("tickets", "companies", limit(type_id, number))
    assert answered.status_code == 502, answered.text
    return answered.headers["Outcome-Id"]


def test_a_failed_outcome_can_be_replayed(local: LocalStack) -> None:
    failed = refused(local, 339, 6)

    replayed = local.call("POST", f"/outcomes/{failed}/replay")

    assert replayed.status_code == 202
    outcome = local.final(replayed.headers["Outcome-Id"])
    assert (outcome["status"], outcome["replayOf"]) == ("COMPLETE", failed)
    assert local.limits("tickets", "companies")["HUBSPOT_DEFINED", 339] == 6
    original = local.outcome(failed)
    assert original is not None
    assert (original["status"], original["replayedBy"]) == ("FAILED", outcome["id"])
    local.drained()


def test_asking_for_a_replay_twice_replays_once(local: LocalStack) -> None:
    failed = refused(local, 339, 5)
    local.standin("DELETE", "journal")

    first = local.call("POST", f"/outcomes/{failed}/replay")
    local.final(first.headers["Outcome-Id"])
    second = local.call("POST", f"/outcomes/{failed}/replay")

    assert second.headers["Outcome-Id"] == first.headers["Outcome-Id"]
    local.drained()
    assert local.calls().count("create") == 1


@pytest.mark.parametrize("must_wait", [False, True])
def test_a_dead_letter_is_run_alone_and_goes_on_in_the_main_queue_where_it_must_wait(
    local: LocalStack, must_wait: bool
) -> None:
    number = 7 if must_wait else 5
    if must_wait:
        limited = {"kind": "status", "status": 429, "policy": "TEN_SECONDLY_ROLLING"}
        local.standin("POST", "faults", {"operation": "create", "times": 1, "effect": limited})
    request = {"fromObjectType": "companies", "toObjectType": "tickets", "inputs": [limit(340, number)]}

    outcome = local.final(local.send(request, "deadLetterQueueUrl"))

    assert outcome["status"] == "COMPLETE"
    assert (outcome["attempts"][0]["httpStatus"] == 429) is must_wait
    assert local.limits("companies", "tickets")["HUBSPOT_DEFINED", 340] == number
    local.drained()


def test_a_dead_letter_that_is_no_request_is_kept_word_for_word_and_not_replayed(local: LocalStack) -> None:
    letter = local.send("not a request", "deadLetterQueueUrl")

    failed = local.final(letter)
    refused = local.call("POST", f"/outcomes/{letter}/replay")

    assert (failed["status"], failed["received"]) == ("FAILED", "not a request")
    assert refused.status_code == 409
    assert "send a corrected one" in refused.json()["message"]
    local.drained()


def test_a_dead_letter_of_a_request_that_is_done_changes_nothing(local: LocalStack) -> None:
    done = local.create("contacts", "companies", limit(279, 44))
    outcome_id = done.headers["Outcome-Id"]
    before = local.outcome(outcome_id)

    local.aws("sqs").send_message(
        QueueUrl=local["deadLetterQueueUrl"],
        MessageBody='{"fromObjectType": "contacts", "toObjectType": "companies", "inputs":'
        ' [{"category": "HUBSPOT_DEFINED", "typeId": 279, "maxToObjectIds": 44}]}',
        MessageAttributes={"OutcomeId": {"DataType": "String", "StringValue": outcome_id}},
    )
    local.drained()

    assert local.outcome(outcome_id) == before


def test_what_was_rejected_is_replayed_alone(local: LocalStack) -> None:
    partly = local.create("deals", "companies", limit(341, 30), limit(999, 2))
    assert partly.status_code == 207

    replayed = local.call("POST", f"/outcomes/{partly.headers['Outcome-Id']}/replay")

    outcome = local.final(replayed.headers["Outcome-Id"])
    assert [(item["typeId"], item["result"]) for item in outcome["inputs"]] == [(999, "REJECTED")]
    local.drained()


def test_what_is_all_applied_is_replayed_only_with_all(local: LocalStack) -> None:
    done = local.create("contacts", "companies", limit(279, 45)).headers["Outcome-Id"]

    refused = local.call("POST", f"/outcomes/{done}/replay")
    replayed = local.call("POST", f"/outcomes/{done}/replay", params={"all": "true"})

    assert refused.status_code == 409
    assert "?all=true" in refused.json()["message"]
    assert replayed.status_code == 202
    assert local.final(replayed.headers["Outcome-Id"])["status"] == "COMPLETE"
    local.drained()
