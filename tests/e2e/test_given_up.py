"""What was given up: dead letters end in the ledger, and outcomes can be run again."""

from __future__ import annotations

from typing import Any

from tests.e2e.deployed import LocalStack


def limit(type_id: int, number: int) -> dict[str, Any]:
    return {"category": "HUBSPOT_DEFINED", "typeId": type_id, "maxToObjectIds": number}


def test_a_dead_letter_becomes_a_failed_outcome_that_can_be_replayed(local: LocalStack) -> None:
    request = {"fromObjectType": "tickets", "toObjectType": "companies", "inputs": [limit(339, 6)]}
    letter = local.send({**request, "requestedBy": "a test"}, "deadLetterQueueUrl")

    failed = local.final(letter)
    replayed = local.call("POST", f"/outcomes/{letter}/replay")

    assert failed["status"] == "FAILED"
    assert failed["reason"].startswith("given up")
    assert "tickets" in failed["received"]
    assert replayed.status_code == 202
    outcome = local.final(replayed.headers["Outcome-Id"])
    assert outcome["status"] == "COMPLETE"
    assert (outcome["replayOf"], outcome["requestedBy"]) == (letter, "a test")
    assert local.limits("tickets", "companies")["HUBSPOT_DEFINED", 339] == 6
    original = local.outcome(letter)
    assert original is not None
    assert original["replayedBy"] == outcome["id"]
    local.drained()


def test_asking_for_a_replay_twice_replays_once(local: LocalStack) -> None:
    letter = local.send(
        {"fromObjectType": "companies", "toObjectType": "tickets", "inputs": [limit(340, 5)]}, "deadLetterQueueUrl"
    )
    local.final(letter)
    local.standin("DELETE", "journal")

    first = local.call("POST", f"/outcomes/{letter}/replay")
    local.final(first.headers["Outcome-Id"])
    second = local.call("POST", f"/outcomes/{letter}/replay")

    assert second.headers["Outcome-Id"] == first.headers["Outcome-Id"]
    local.drained()
    assert local.calls().count("create") == 1


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
