"""Requests through the really deployed stack, on each of the three ways in, against the stand-in HubSpot."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from ledger.register import LANDING
from tests.e2e.deployed import PATIENCE, LocalStack
from tests.support.events import load


def limit(type_id: int, number: int, category: str = "HUBSPOT_DEFINED") -> dict[str, Any]:
    return {"category": category, "typeId": type_id, "maxToObjectIds": number}


def results(outcome: dict[str, Any]) -> list[str]:
    return [item["result"] for item in outcome["inputs"]]


def test_a_batch_create_by_http_is_applied_and_kept(local: LocalStack) -> None:
    answer = local.create("contacts", "companies", limit(279, 40), limit(1, 1))

    assert answer.status_code == 201
    assert answer.json()["status"] == "COMPLETE"
    assert [row["userEnforcedMaxToObjectIds"] for row in answer.json()["results"]] == [40, 1]
    outcome = local.outcome(answer.headers["Outcome-Id"])
    assert outcome is not None
    assert answer.headers["Location"] == f"/outcomes/{outcome['id']}"
    assert outcome["status"] == "COMPLETE"
    assert results(outcome) == ["APPLIED", "APPLIED"]
    assert outcome["hubspot"]["body"] == answer.json()
    assert (outcome["trigger"], outcome["client"]) == ("webhook", "local")
    assert local.limits("contacts", "companies") == {("HUBSPOT_DEFINED", 279): 40, ("HUBSPOT_DEFINED", 1): 1}


def test_without_a_key_nobody_gets_in(local: LocalStack) -> None:
    refused = local.create("contacts", "companies", limit(279, 40), Authorization="Bearer nobody")

    assert refused.status_code == 401
    assert refused.json()["status"] == "error"


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Content-Type": "text/plain"}, '{"inputs": []}', 415),
        ({"Content-Type": "application/json"}, '{"inputs": [], "inputs": []}', 400),
        ({"Content-Type": "application/json"}, b"\xff", 400),
        ({"Content-Type": "application/json"}, " " * (256 * 1024 + 1), 413),
    ],
)
def test_what_is_no_plain_json_of_moderate_size_is_refused(
    local: LocalStack, headers: dict[str, str], body: str | bytes, status: int
) -> None:
    path = "/crm/associations/2026-03/definitions/configurations/deals/contacts/batch/create"

    answer = local.call("POST", path, data=body, headers=headers)

    assert (answer.status_code, answer.json()["category"]) == (status, "VALIDATION_ERROR")
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_misspelt_field_is_named(local: LocalStack) -> None:
    misspelt = {"category": "HUBSPOT_DEFINED", "typeId": 279, "maxToObjectId": 40}

    refused = local.create("contacts", "companies", misspelt)

    assert refused.status_code == 400
    assert {problem["in"] for problem in refused.json()["errors"]} == {
        "inputs[0].maxToObjectIds",
        "inputs[0].maxToObjectId",
    }


def test_an_unknown_route_is_answered_in_hubspots_error_shape(local: LocalStack) -> None:
    refused = local.call("GET", "/crm/objects")

    assert refused.status_code == 404
    assert refused.json()["status"] == "error"
    assert refused.json()["category"] == "OBJECT_NOT_FOUND"


def test_an_asynchronous_request_outlives_an_outage(local: LocalStack) -> None:
    local.standin("POST", "faults", {"operation": "any", "times": 3, "effect": {"kind": "status", "status": 503}})

    accepted = local.create("companies", "deals", limit(342, 30), Prefer="respond-async")

    assert accepted.status_code == 202
    assert accepted.headers["Preference-Applied"] == "respond-async"
    assert accepted.json()["status"] == "PENDING"
    outcome = local.final(accepted.headers["Outcome-Id"])
    assert outcome["status"] == "COMPLETE"
    assert outcome["trigger"] == "webhook"
    assert outcome["attempts"][0]["httpStatus"] == 503
    assert local.limits("companies", "deals")["HUBSPOT_DEFINED", 342] == 30
    local.drained()


def test_what_hubspot_cannot_take_now_is_accepted_and_done_later(local: LocalStack) -> None:
    limited = {"kind": "status", "status": 429, "policy": "TEN_SECONDLY_ROLLING"}
    local.standin("POST", "faults", {"operation": "create", "times": 1, "effect": limited})

    accepted = local.create("deals", "tickets", limit(27, 9))

    assert accepted.status_code == 202
    assert "Preference-Applied" not in accepted.headers
    outcome = local.final(accepted.headers["Outcome-Id"])
    assert outcome["status"] == "COMPLETE"
    assert [attempt["verdict"] for attempt in outcome["attempts"]] == ["UNAVAILABLE", "ANSWERED"]
    assert local.limits("deals", "tickets")["HUBSPOT_DEFINED", 27] == 9
    local.drained()


def test_a_create_that_failed_is_sent_again_within_the_call_once_two_looks_have_not_found_it(local: LocalStack) -> None:
    local.standin("DELETE", "journal")
    local.standin("POST", "faults", {"operation": "create", "times": 1, "effect": {"kind": "status", "status": 503}})

    answer = local.create("deals", "tickets", limit(27, 8))

    assert answer.status_code == 201
    assert answer.json()["results"][0]["userEnforcedMaxToObjectIds"] == 8
    assert local.calls() == ["create", "read", "read", "create"]


def test_a_create_that_hubspot_was_too_slow_to_answer_is_proved_in_the_queue_and_not_sent_again(
    local: LocalStack,
) -> None:
    local.standin("DELETE", "journal")
    local.standin("POST", "faults", {"operation": "create", "times": 1, "effect": {"kind": "delay", "delayMs": 26_000}})

    accepted = local.create("contacts", "tickets", limit(15, 7))

    assert accepted.status_code == 202
    assert accepted.json()["status"] == "PENDING"
    outcome = local.final(accepted.headers["Outcome-Id"])
    assert (outcome["status"], results(outcome)) == ("COMPLETE", ["APPLIED"])
    assert outcome["inputs"][0]["message"] == "proved by reading back"
    assert local.calls() == ["create", "read"]
    local.drained()


def test_a_create_that_was_applied_but_not_answered_is_proved_and_not_sent_again(local: LocalStack) -> None:
    local.standin("DELETE", "journal")
    local.standin(
        "POST",
        "faults",
        {"operation": "create", "times": 1, "effect": {"kind": "status", "status": 502, "applied": True}},
    )

    answer = local.create("tickets", "deals", limit(28, 4))

    assert answer.status_code == 200
    assert answer.json()["results"][0]["userEnforcedMaxToObjectIds"] == 4
    assert local.calls() == ["create", "read"]


def test_messages_good_partly_refused_and_malformed_each_end_as_they_should(local: LocalStack) -> None:
    good = local.send({"fromObjectType": "tickets", "toObjectType": "contacts", "inputs": [limit(16, 3)]})
    partly = local.send(
        {
            "fromObjectType": "deals",
            "toObjectType": "companies",
            "inputs": [limit(341, 20), limit(41, 25, "USER_DEFINED")],
            "requestedBy": "a test",
        }
    )
    malformed = [local.send("not json"), local.send({"fromObjectType": "deals", "inputs": [{"typeID": 3}]})]

    assert results(local.final(good)) == ["APPLIED"]
    outcome = local.final(partly)
    assert (outcome["status"], results(outcome)) == ("PARTIAL", ["APPLIED", "REJECTED"])
    assert outcome["inputs"][1]["message"]
    assert outcome["requestedBy"] == "a test"
    for message in malformed:
        rejected = local.final(message)
        assert rejected["status"] == "REJECTED"
        assert rejected["reason"]
        assert rejected["received"]
    local.drained()


def test_a_burst_of_messages_ends_with_one_outcome_each_while_hubspot_fails_now_and_then(local: LocalStack) -> None:
    local.standin(
        "POST", "faults", {"operation": "any", "share": 0.2, "seed": 7, "effect": {"kind": "status", "status": 503}}
    )
    pairs = [("contacts", "tickets", 15), ("tickets", "contacts", 16), ("companies", "tickets", 340)]
    sent = [
        local.send({"fromObjectType": a, "toObjectType": b, "inputs": [limit(type_id, 100 + number)]})
        for number in range(15)
        for a, b, type_id in pairs
    ]

    # Where a pair cannot be read either, younger requests wait until no older one's call can land any more.
    outcomes = [local.final(message, LANDING.total_seconds() + PATIENCE) for message in sent]
    local.standin("DELETE", "faults")  # or the reading below may fail, too

    assert {outcome["status"] for outcome in outcomes} == {"COMPLETE"}
    assert {result for outcome in outcomes for result in results(outcome)} <= {"APPLIED", "SUPERSEDED"}
    for from_type, to_type, type_id in pairs:
        assert local.limits(from_type, to_type)["HUBSPOT_DEFINED", type_id] == 114
    local.drained()


def test_a_schedule_fires_and_its_request_is_applied(local: LocalStack) -> None:
    scheduled = local.final(local.scheduled()["id"])

    assert scheduled["status"] == "COMPLETE"
    assert scheduled["requestedBy"] == "limits/deals-to-contacts.yaml"
    assert local.limits("deals", "contacts")["HUBSPOT_DEFINED", 3] == scheduled["inputs"][0]["maxToObjectIds"]


def test_a_rules_event_is_run(local: LocalStack) -> None:
    event = load("rule") | {"id": "rule-event-1"}

    invoked = local.aws("lambda").invoke(
        FunctionName=local.function("scheduled.handler")["FunctionName"], Payload=json.dumps(event)
    )

    assert "FunctionError" not in invoked
    assert local.final("rule-event-1")["trigger"] == "schedule"


def test_a_malformed_schedule_input_fails_the_invocation(local: LocalStack) -> None:
    event = {**load("scheduler"), "inputs": "none"}

    invoked = local.aws("lambda").invoke(
        FunctionName=local.function("scheduled.handler")["FunctionName"], Payload=json.dumps(event)
    )

    assert invoked["FunctionError"]
    assert "inputs" in json.loads(invoked["Payload"].read())["errorMessage"]


def test_outcomes_are_listed_by_pair_and_by_status(local: LocalStack) -> None:
    ids = [local.create("companies", "companies", limit(450, n)).headers["Outcome-Id"] for n in (5, 6, 7)]

    first = local.call("GET", "/outcomes", params={"from": "companies", "to": "companies", "limit": 2}).json()
    after = first["paging"]["next"]["after"]
    rest = local.call("GET", "/outcomes", params={"from": "companies", "to": "companies", "after": after}).json()

    assert [outcome["id"] for outcome in first["results"] + rest["results"]] == ids[::-1]
    rejected = local.call("GET", "/outcomes", params={"status": "REJECTED"}).json()["results"]
    assert {outcome["status"] for outcome in rejected} <= {"REJECTED"}


def test_nothing_is_listed_that_was_requested_before_the_time_asked_for(local: LocalStack) -> None:
    later = (local.started + timedelta(days=1)).isoformat()

    assert local.call("GET", "/outcomes", params={"since": later}).json() == {"results": []}
