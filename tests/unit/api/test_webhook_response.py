"""Whoever waits is answered in HubSpot's words, by what became of the inputs in the end."""

from __future__ import annotations

import json
from typing import Any

import pytest

import webhook
from tests.support.aws import Deployment
from tests.support.events import Context, api_event, load
from tests.support.fakes import Clock, FakeHubSpot, answer, echo, failed, key
from tests.support.webhook import BODY, PATH, call, get, is_hubspots_error


def test_a_batch_create_is_answered_in_hubspots_words_and_kept(functions: Deployment, hubspot: FakeHubSpot) -> None:
    said: list[str] = []

    def reply(inputs: Any) -> Any:
        made = answer([echo(inputs[0])], unknownField={"kept": True})
        said.append(made.text)
        return made

    hubspot.replies = [reply]
    raw = webhook.handler(load("api_gateway"), Context())

    assert raw["statusCode"] == 201
    assert [raw["body"]] == said
    outcome_id = raw["multiValueHeaders"]["Outcome-Id"][0]
    assert raw["multiValueHeaders"]["Location"] == [f"/outcomes/{outcome_id}"]
    status, outcome, _ = get(f"/outcomes/{outcome_id}")
    assert status == 200
    assert outcome["status"] == "COMPLETE"
    assert outcome["trigger"] == "webhook"
    assert outcome["client"] == "crm"
    assert outcome["inputs"] == [{**BODY["inputs"][0], "result": "APPLIED"}]
    assert outcome["hubspot"]["body"] == json.loads(said[0])
    assert "requestedBy" not in outcome
    assert "fingerprint" not in outcome


def test_what_was_proved_by_reading_back_is_answered_as_hubspot_would_have(
    functions: Deployment, hubspot: FakeHubSpot
) -> None:
    hubspot.replies = [failed(503, body="<html>")]
    hubspot.applies = True

    status, body, _ = call(api_event("POST", PATH, body=BODY))

    assert status == 200
    assert body["status"] == "COMPLETE"
    assert body["results"][0]["userEnforcedMaxToObjectIds"] == 5
    assert "errors" not in body


def test_of_several_calls_one_that_failed_and_was_proved_is_no_error_of_the_answer(
    functions: Deployment, hubspot: FakeHubSpot
) -> None:
    hubspot.replies = [lambda inputs: answer([echo(item) for item in inputs]), failed(503, body="<html>")]
    hubspot.applies = True
    body = {"inputs": [{**BODY["inputs"][0], "typeId": n} for n in range(1, 151)]}

    status, said, headers = call(api_event("POST", PATH, body=body))

    assert status == 200
    assert [row["typeId"] for row in said["results"]] == list(range(1, 151))
    assert "errors" not in said
    kept = get(headers["Location"])[1]
    assert (kept["status"], kept["hubspot"]["httpStatus"]) == ("COMPLETE", 201)


def test_hubspots_refusal_is_passed_on_untouched(functions: Deployment, hubspot: FakeHubSpot) -> None:
    hubspot.replies = [failed(404, body='{"message": "no such type"}')]

    status, body, _ = call(api_event("POST", PATH, body=BODY))

    assert status == 404
    assert body == {"message": "no such type"}


@pytest.mark.parametrize("said", ["<html>no such page</html>", "", "[]", "404"])
def test_a_refusal_that_is_not_in_hubspots_words_keeps_its_status_and_is_put_in_such(
    functions: Deployment, hubspot: FakeHubSpot, said: str
) -> None:
    hubspot.replies = [failed(404, "HubSpot answered 404 without a message", body=said)]

    status, body, headers = call(api_event("POST", PATH, body=BODY))

    assert (status, headers["Outcome-Status"]) == (404, "REJECTED")
    assert is_hubspots_error(body)
    assert body["message"] == "HubSpot answered 404 without a message"


@pytest.mark.parametrize("status", [202, 206, 299])
def test_a_status_that_hubspot_has_not_is_not_handed_on_as_a_202_says_that_it_is_queued(
    functions: Deployment, hubspot: FakeHubSpot, status: int
) -> None:
    hubspot.replies = [lambda inputs: answer([echo(item) for item in inputs], http_status=status)]

    answered, body, headers = call(api_event("POST", PATH, body=BODY))

    assert (answered, headers["Outcome-Status"]) == (200, "COMPLETE")
    assert body["results"][0]["userEnforcedMaxToObjectIds"] == 5


def test_a_success_of_hubspots_that_is_none_is_not_handed_on(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock
) -> None:
    hubspot.replies = [lambda inputs: answer([])] * 9
    event = api_event("POST", PATH, body=BODY, Idempotency_Key="k-6")

    while (answered := call(event))[0] == 202:
        clock.advance(2000)

    status, body, headers = answered
    assert (status, headers["Outcome-Status"]) == (207, "REJECTED")
    assert (body["results"], body["numErrors"]) == ([], 1)
    assert "COMPLETE" in body["errors"][0]["message"]


def test_a_limit_that_was_so_already_is_answered_as_done_and_hubspots_refusal_is_kept(
    functions: Deployment, hubspot: FakeHubSpot
) -> None:
    hubspot.replies = [failed(400, "a limit for typeId 3 already exists")]
    hubspot.limits[key(3)] = 5

    status, body, headers = call(api_event("POST", PATH, body=BODY))

    assert (status, headers["Outcome-Status"]) == (200, "COMPLETE")
    assert body["results"][0]["userEnforcedMaxToObjectIds"] == 5
    assert "errors" not in body
    kept = get(headers["Location"])[1]
    assert [item["result"] for item in kept["inputs"]] == ["UNCHANGED"]
    assert kept["hubspot"]["body"]["message"] == "a limit for typeId 3 already exists"


def test_a_refusal_of_our_token_is_a_502_that_names_the_secret(functions: Deployment, hubspot: FakeHubSpot) -> None:
    hubspot.replies = [failed(401), failed(401)]

    status, body, headers = call(api_event("POST", PATH, body=BODY))

    assert status == 502
    assert is_hubspots_error(body)
    assert "hubspot-association-limits/portals/default" in body["message"]
    assert "token-default" not in json.dumps(body)
    assert "0 of 1 inputs were done" in body["message"]
    assert headers["Outcome-Status"] == "FAILED"
    assert functions.messages() == []


def test_a_token_refused_half_way_does_not_hide_what_was_done(functions: Deployment, hubspot: FakeHubSpot) -> None:
    hubspot.replies = [lambda inputs: answer([echo(item) for item in inputs]), failed(401), failed(401)]
    body = {"inputs": [{**BODY["inputs"][0], "typeId": n} for n in range(21, 171)]}

    status, error, headers = call(api_event("POST", PATH, body=body))

    assert status == 502
    assert "100 of 150 inputs were done" in error["message"]
    results = [item["result"] for item in get(headers["Location"])[1]["inputs"]]
    assert results == ["APPLIED"] * 100 + ["PENDING"] * 50
