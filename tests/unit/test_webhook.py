"""The HTTP entry point, called with API Gateway's events over moto and a fake HubSpot."""

from __future__ import annotations

import base64
import json
from base64 import b64encode
from typing import Any

import pytest

import production
import webhook
from hubspot_api.client import Answer
from ledger.ledger import Ledger
from model.errors import LedgerUnavailable, QueueUnavailable
from tests.support.aws import ROLE, Deployment
from tests.support.events import Context, api_event, load
from tests.support.fakes import Clock, FakeHubSpot, answer, echo, failed, key

PATH = "/crm/associations/2026-03/definitions/configurations/deals/contacts/batch/create"
BODY = {"inputs": [{"category": "HUBSPOT_DEFINED", "typeId": 3, "maxToObjectIds": 5}]}


def call(event: dict[str, Any]) -> tuple[int, dict[str, Any], dict[str, str]]:
    reply = webhook.handler(event, Context())
    headers = {name: values[0] for name, values in reply["multiValueHeaders"].items()}
    assert headers["Content-Type"] == "application/json"
    return reply["statusCode"], json.loads(reply["body"]), headers


def get(path: str, **query: str) -> tuple[int, dict[str, Any], dict[str, str]]:
    return call(api_event("GET", path, query=query))


def is_hubspots_error(body: dict[str, Any]) -> bool:
    return body["status"] == "error" and all(body[name] for name in ("message", "correlationId", "category"))


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


def test_another_portal_and_version_are_used_as_the_path_says(functions: Deployment, hubspot: FakeHubSpot) -> None:
    path = f"/portals/acme{PATH.replace('2026-03', '2026-09')}"

    status, _, _ = call(api_event("POST", path, body=BODY))

    assert status == 201
    assert hubspot.tokens == ["token-acme"]
    assert hubspot.created[0][0].api_version == "2026-09"


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer ", "Basic crm-key", "crm-key", "Bearer unknown", "Bearer crm-key x"]
)
def test_a_missing_malformed_or_unknown_key_is_401(functions: Deployment, authorization: str | None) -> None:
    status, body, headers = call(api_event("POST", PATH, body=BODY, Authorization=authorization))

    assert status == 401
    assert is_hubspots_error(body)
    assert headers["WWW-Authenticate"] == "Bearer"


def test_a_portal_that_the_client_may_not_use_is_403(functions: Deployment, hubspot: FakeHubSpot) -> None:
    status, body, _ = call(api_event("POST", PATH, body=BODY, Authorization="Bearer sales-key"))
    assert status == 403
    assert is_hubspots_error(body)
    assert hubspot.created == []

    allowed, _, _ = call(api_event("POST", f"/portals/acme{PATH}", body=BODY, Authorization="Bearer sales-key"))
    assert allowed == 201


def test_another_portals_outcome_is_as_unknown_as_none(functions: Deployment) -> None:
    _, _, headers = call(api_event("POST", PATH, body=BODY))

    status, body, _ = call(api_event("GET", headers["Location"], Authorization="Bearer sales-key"))
    assert status == 404
    assert is_hubspots_error(body)
    assert get("/outcomes/none")[0] == 404


@pytest.mark.parametrize(
    "content_type", [None, "", "text/plain", "application/x-www-form-urlencoded", "application/jsonx"]
)
def test_a_body_that_is_not_said_to_be_json_is_415(
    functions: Deployment, hubspot: FakeHubSpot, content_type: str | None
) -> None:
    status, error, _ = call(api_event("POST", PATH, body=BODY, Content_Type=content_type))

    assert status == 415
    assert is_hubspots_error(error)
    assert "Content-Type: application/json" in error["message"]
    assert hubspot.calls == []


def test_a_media_type_may_have_parameters_and_knows_no_case(functions: Deployment) -> None:
    assert call(api_event("POST", PATH, body=BODY, Content_Type="Application/JSON; charset=utf-8"))[0] == 201


@pytest.mark.parametrize("encoded", [True, False])
@pytest.mark.parametrize(("beyond", "expected"), [(0, 201), (1, 413)])
def test_a_body_of_more_than_256_kib_is_413(
    functions: Deployment, hubspot: FakeHubSpot, beyond: int, expected: int, encoded: bool
) -> None:
    text = json.dumps(BODY)
    text += " " * (256 * 1024 + beyond - len(text))
    event = api_event("POST", PATH, body=base64.b64encode(text.encode()).decode() if encoded else text)

    status, body, _ = call(event | {"isBase64Encoded": encoded})

    assert status == expected
    assert expected == 201 or (is_hubspots_error(body) and not hubspot.calls)


@pytest.mark.parametrize(("body", "encoded"), [("\ud800", False), ("not Base64", True), ("/w==", True), (None, False)])
def test_a_body_that_is_no_text_is_400(functions: Deployment, body: str | None, encoded: bool) -> None:
    status, error, _ = call(api_event("POST", PATH, body=body) | {"isBase64Encoded": encoded})

    assert status == 400
    assert is_hubspots_error(error)


@pytest.mark.parametrize("authorization", ["Bearer crm-key", "Bearer unknown"])
@pytest.mark.parametrize(("method", "path"), [("POST", PATH), ("GET", "/outcomes"), ("GET", "/nowhere")])
def test_every_answer_forbids_to_keep_it_to_guess_its_type_and_to_ask_in_clear(
    functions: Deployment, authorization: str, method: str, path: str
) -> None:
    _, _, headers = call(api_event(method, path, body=BODY, Authorization=authorization))

    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Strict-Transport-Security"].startswith("max-age=31536000")
    assert not [name for name in headers if name.lower().startswith("access-control-")]


def test_every_bad_field_is_named(functions: Deployment, hubspot: FakeHubSpot) -> None:
    body = {"inputs": [{"category": "CUSTOM", "typeID": 3, "maxToObjectIds": "5"}], "input": []}

    status, error, _ = call(api_event("POST", PATH, body=body))

    assert status == 400
    assert is_hubspots_error(error)
    assert {problem["in"] for problem in error["errors"]} == {
        "input",
        "inputs[0].category",
        "inputs[0].typeId",
        "inputs[0].typeID",
        "inputs[0].maxToObjectIds",
    }
    assert hubspot.created == []


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '{"inputs": NaN}', "[" * 5000])
def test_a_body_that_is_no_json_object_is_400(functions: Deployment, body: str) -> None:
    status, error, _ = call(api_event("POST", PATH, body=body))

    assert status == 400
    assert is_hubspots_error(error)


def test_a_version_that_the_settings_do_not_allow_is_404(functions: Deployment) -> None:
    status, error, _ = call(api_event("POST", PATH.replace("2026-03", "2020-01"), body=BODY))

    assert status == 404
    assert "2026-03" in error["message"]


def test_respond_async_is_queued_and_answered_at_once(functions: Deployment, hubspot: FakeHubSpot) -> None:
    status, body, headers = call(api_event("POST", PATH, body=BODY, Prefer="wait=5, Respond-Async"))

    assert status == 202
    assert headers["Preference-Applied"] == "respond-async"
    assert body["status"] == "PENDING"
    assert body["results"] == []
    assert get(headers["Location"])[1]["status"] == "QUEUED"
    (message,) = functions.messages()
    assert message["MessageAttributes"]["OutcomeId"]["StringValue"] == headers["Outcome-Id"]
    assert json.loads(message["Body"])["inputs"] == BODY["inputs"]
    assert hubspot.created == []


def test_what_could_not_be_queued_is_failed_and_said_so(functions: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def send(self, *_: object) -> None:
            raise QueueUnavailable("no queue")

    monkeypatch.setattr(webhook, "queue", Broken)

    status, body, _ = call(api_event("POST", PATH, body=BODY, Prefer="respond-async"))

    assert status == 503
    assert is_hubspots_error(body)
    (outcome,) = get("/outcomes", status="FAILED")[1]["results"]
    assert outcome["reason"] == "no queue"


def test_what_is_queued_already_is_not_given_up_when_it_cannot_be_sent_again(
    functions: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def send(self, *_: object) -> None:
            raise QueueUnavailable("no queue")

    first = call(api_event("POST", PATH, body=BODY, Prefer="respond-async", Idempotency_Key="k-3"))
    again = call(api_event("POST", PATH, body=BODY, Prefer="respond-async", Idempotency_Key="k-3"))
    monkeypatch.setattr(webhook, "queue", Broken)

    refused = call(api_event("POST", PATH, body=BODY, Prefer="respond-async", Idempotency_Key="k-3"))

    assert [answered[0] for answered in (first, again, refused)] == [202, 202, 503]
    assert first[2]["Outcome-Id"] == again[2]["Outcome-Id"]
    assert get(first[2]["Location"])[1]["status"] == "QUEUED"


def test_what_hubspot_cannot_take_now_goes_on_in_the_queue(functions: Deployment, hubspot: FakeHubSpot) -> None:
    hubspot.replies = [failed(429)]

    status, body, headers = call(api_event("POST", PATH, body=BODY))

    assert status == 202
    assert body["status"] == "PENDING"
    assert "Preference-Applied" not in headers
    outcome = get(headers["Location"])[1]
    assert outcome["status"] == "DEFERRED"
    assert outcome["reason"] == "HubSpot answered 429"
    assert outcome["retryAt"] == "2026-11-23T09:00:10.000Z"
    attributes = functions.sqs.get_queue_attributes(QueueUrl=functions.queue_url, AttributeNames=["All"])["Attributes"]
    assert attributes["ApproximateNumberOfMessagesDelayed"] == "1"


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


def test_a_doubt_is_looked_up_whatever_else_fails_after_it(functions: Deployment, hubspot: FakeHubSpot) -> None:
    hubspot.replies = [failed(503), failed(401), failed(401)]
    hubspot.reads = [failed(503)]
    body = {"inputs": [{**BODY["inputs"][0], "typeId": n} for n in range(1, 151)]}

    status, _, headers = call(api_event("POST", PATH, body=body))

    assert status == 202
    outcome = get(headers["Location"])[1]
    assert outcome["status"] == "DEFERRED"
    assert "doubt" not in outcome  # it is ours, and no part of the answer


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


def test_without_the_ledger_nothing_is_taken_and_it_can_be_sent_again(
    functions: Deployment, hubspot: FakeHubSpot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise LedgerUnavailable("throttled")

    monkeypatch.setattr(Ledger, "claim", unreachable)

    status, error, headers = call(api_event("POST", PATH, body=BODY))

    assert (status, headers["Retry-After"]) == (503, "30")
    assert is_hubspots_error(error)
    assert hubspot.calls == []


def test_what_could_not_be_settled_goes_on_in_the_queue(
    functions: Deployment, hubspot: FakeHubSpot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object) -> None:
        raise LedgerUnavailable("throttled")

    monkeypatch.setattr(Ledger, "settle", unreachable)

    status, _, headers = call(api_event("POST", PATH, body=BODY))

    assert (status, headers["Outcome-Status"]) == (202, "DEFERRED")
    attributes = functions.sqs.get_queue_attributes(QueueUrl=functions.queue_url, AttributeNames=["All"])["Attributes"]
    assert attributes["ApproximateNumberOfMessagesDelayed"] == "1"


def test_the_same_idempotency_key_gives_the_first_answer_again(functions: Deployment, hubspot: FakeHubSpot) -> None:
    _, first, first_headers = call(api_event("POST", PATH, body=BODY, Idempotency_Key="k-1"))

    status, second, headers = call(api_event("POST", PATH, body=BODY, Idempotency_Key="k-1"))

    assert (status, second) == (201, first)
    assert headers["Idempotency-Replayed"] == "true"
    assert headers["Outcome-Id"] == first_headers["Outcome-Id"]
    assert len(hubspot.created) == 1


def test_an_idempotency_key_used_for_another_body_is_422(functions: Deployment) -> None:
    call(api_event("POST", PATH, body=BODY, Idempotency_Key="k-2"))
    other = {"inputs": [{**BODY["inputs"][0], "maxToObjectIds": 6}]}

    status, error, _ = call(api_event("POST", PATH, body=other, Idempotency_Key="k-2"))

    assert status == 422
    assert is_hubspots_error(error)


def test_an_idempotency_key_whose_request_waits_is_409_until_its_time(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock
) -> None:
    hubspot.replies = [failed(477, retry_after=3600)]
    event = api_event("POST", PATH, body=BODY, Idempotency_Key="k-4")
    assert call(event)[0] == 202
    clock.advance(600)

    for again in (event, api_event("POST", PATH, body=BODY, Idempotency_Key="k-4", Prefer="respond-async")):
        status, error, headers = call(again)

        assert (status, headers["Retry-After"], headers["Outcome-Status"]) == (409, "3000", "DEFERRED")
        assert is_hubspots_error(error)
    assert len(hubspot.created) == 1

    clock.advance(3000)
    assert call(event)[0] == 201


def test_an_idempotency_key_whose_request_runs_is_409_until_its_lease_ends(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock
) -> None:
    def ended_from_outside(inputs: object) -> Answer:
        raise KeyboardInterrupt

    event = api_event("POST", PATH, body=BODY, Idempotency_Key="k-5")
    hubspot.replies = [ended_from_outside]

    with pytest.raises(KeyboardInterrupt):
        call(event)
    status, _, headers = call(event)

    assert (status, headers["Retry-After"], headers["Outcome-Status"]) == (409, "37", "RUNNING")


def test_outcomes_are_listed_newest_first_and_in_pages(functions: Deployment) -> None:
    ids = []
    for number in range(1, 6):
        event = api_event("POST", PATH, body={"inputs": [{**BODY["inputs"][0], "maxToObjectIds": number}]})
        event["requestContext"]["requestId"] = f"request-{number}"
        ids.append(call(event)[2]["Outcome-Id"])

    seen, query = [], {"from": "deals", "to": "contacts", "limit": "2"}
    while True:
        status, page, _ = get("/outcomes", **query)
        assert status == 200
        seen += [outcome["id"] for outcome in page["results"]]
        if "paging" not in page:
            break
        query["after"] = page["paging"]["next"]["after"]

    assert seen == ids[::-1]
    assert [o["id"] for o in get("/outcomes")[1]["results"]] == seen
    assert get("/outcomes", status="REJECTED")[1] == {"results": []}
    assert get("/outcomes", since="2999-01-01T00:00:00Z")[1] == {"results": []}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"from": "deals"}, ""),
        ({"status": "DONE"}, "status"),
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"since": "yesterday"}, "since"),
        ({"since": "1795510800"}, "since"),
        ({"since": "2026-11-24"}, "since"),
        ({"since": "0001-01-01T00:00:00+14:00"}, "since"),
        ({"since": "9999-12-31T23:59:59-14:00"}, "since"),
        ({"after": "nonsense"}, "after"),
        ({"form": "deals"}, "form"),
    ],
)
def test_a_wrong_filter_is_explained(functions: Deployment, query: dict[str, str], field: str) -> None:
    status, error, _ = get("/outcomes", **query)

    assert status == 400
    assert [problem["in"] for problem in error["errors"]] == [field]


@pytest.mark.parametrize(("method", "path"), [("GET", "/outcomes"), ("POST", "/outcomes/o-1/replay")])
def test_a_parameter_that_is_given_twice_is_refused_as_it_may_mean_either(
    functions: Deployment, method: str, path: str
) -> None:
    several = {"portal": ["default", "acme"], "all": ["false", "true"], "limit": ["5"]}
    twice = api_event(method, path, query={"portal": "acme"}) | {"multiValueQueryStringParameters": several}

    status, error, _ = call(twice)

    assert status == 400
    assert [problem["in"] for problem in error["errors"]] == ["portal", "all"]


def test_an_unknown_route_is_404_in_hubspots_shape(functions: Deployment) -> None:
    status, error, _ = get("/crm/objects")

    assert status == 404
    assert is_hubspots_error(error)


def test_an_unforeseen_failure_is_a_500_without_its_details(
    functions: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode() -> object:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(webhook, "production", explode)

    status, error, _ = call(api_event("POST", PATH, body=BODY))

    assert status == 500
    assert is_hubspots_error(error)
    assert "secret detail" not in json.dumps(error)


def test_without_settings_the_function_says_which_are_missing(
    functions: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OUTCOMES_TABLE")
    monkeypatch.setenv("BATCH_SIZE", "many")
    production.settings.cache_clear()

    with pytest.raises(Exception, match=r"OUTCOMES_TABLE.*BATCH_SIZE|BATCH_SIZE.*OUTCOMES_TABLE"):
        production.settings()


def test_a_body_in_base64_is_read_and_bad_utf_8_in_it_is_400(functions: Deployment) -> None:
    good = api_event("POST", PATH, body=b64encode(json.dumps(BODY).encode()).decode()) | {"isBase64Encoded": True}
    bad = api_event("POST", PATH, body=b64encode(b"\xff{}").decode()) | {"isBase64Encoded": True}

    assert call(good)[0] == 201
    assert call(bad)[0] == 400


@pytest.mark.parametrize("outcome_id", ["%20", "a" * 2049, "é", "'"])
def test_what_cannot_be_an_id_is_no_outcome(functions: Deployment, outcome_id: str) -> None:
    assert get(f"/outcomes/{outcome_id}")[0] == 404


# ------------------------------------------------------------------------------------------- what a client may do
def refusals(printed: str) -> list[str]:
    """The reasons that the metric counted."""
    lines = [json.loads(line) for line in printed.splitlines() if "CallerRefused" in line]
    return [line["reason"] for line in lines if line["CallerRefused"] == [1.0]]


@pytest.mark.parametrize(
    ("key_presented", "path", "status", "reason"),
    [
        (None, PATH, 401, "missing"),
        ("nobody", PATH, 401, "unknown"),
        ("sales", PATH, 403, "forbidden"),
        ("guest", PATH.replace("deals", "companies"), 403, "forbidden"),
        ("guest", PATH.replace("contacts", "0-1"), 403, "forbidden"),
    ],
)
def test_a_caller_that_is_refused_is_counted_by_reason_and_never_by_key(
    functions: Deployment,
    hubspot: FakeHubSpot,
    capsys: pytest.CaptureFixture[str],
    key_presented: str | None,
    path: str,
    status: int,
    reason: str,
) -> None:
    authorization = key_presented and f"Bearer {key_presented}-key"

    answered, body, _ = call(api_event("POST", path, body=BODY, Authorization=authorization))

    printed = capsys.readouterr().out
    assert (answered, is_hubspots_error(body)) == (status, True)
    assert refusals(printed) == [reason]
    assert "-key" not in printed
    assert hubspot.created == []


def test_a_client_above_its_rate_is_told_when_to_come_back(
    functions: Deployment, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    clock.advance(20)
    slow = "Bearer slow-key"

    answers = [
        call(api_event("POST", PATH, body=BODY, Authorization=slow))[0],
        call(api_event("GET", "/outcomes", Authorization=slow))[0],
    ]
    status, body, headers = call(api_event("GET", "/outcomes", Authorization=slow))

    assert answers == [201, 200]
    assert (status, body["category"], headers["Retry-After"]) == (429, "RATE_LIMITS", "40")
    assert is_hubspots_error(body)
    assert refusals(capsys.readouterr().out) == ["rate"]
    assert get("/outcomes")[0] == 200  # others are not held up
    clock.advance(40)
    assert call(api_event("GET", "/outcomes", Authorization=slow))[0] == 200


def test_where_iam_decides_a_client_is_known_by_its_role_and_no_key_counts(
    functions: Deployment, hubspot: FakeHubSpot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTHORIZATION", "iam")
    production.settings.cache_clear()
    signed = "AWS4-HMAC-SHA256 Credential=AKIA/20261123/eu-central-1/execute-api/aws4_request, Signature=0"
    by_role = api_event("POST", PATH, body=BODY, Authorization=signed)
    by_role["requestContext"]["identity"]["userArn"] = "arn:aws:sts::123456789012:assumed-role/crm/session"
    by_key = api_event("POST", PATH, body=BODY, Authorization="Bearer crm-key")
    by_key["requestContext"]["identity"]["userArn"] = None
    by_signature = api_event("POST", PATH, body=BODY, Authorization=None, X_HubSpot_Signature_v3="x")

    status, _, headers = call(by_role)

    assert status == 201
    assert production.ledger().get(headers["Outcome-Id"]).client == "role"  # type: ignore[union-attr] # it was just made
    assert call(by_key)[0] == 401
    assert call(by_signature)[0] == 401
    assert len(hubspot.created) == 1


def test_where_keys_decide_no_role_counts(functions: Deployment, hubspot: FakeHubSpot) -> None:
    event = api_event("POST", PATH, body=BODY, Authorization=None)
    event["requestContext"]["identity"]["userArn"] = ROLE

    assert call(event)[0] == 401
    assert hubspot.created == []


@pytest.mark.parametrize(
    "event",
    [
        api_event("POST", PATH, body=BODY),
        api_event("POST", PATH, body="{"),
        api_event("GET", "/outcomes", Authorization=None),
        api_event("GET", "/nowhere"),
    ],
)
@pytest.mark.parametrize("origin", ["", "https://admin.example.com"])
def test_every_answer_names_the_origin_of_the_settings_and_no_other(
    functions: Deployment, monkeypatch: pytest.MonkeyPatch, event: dict[str, Any], origin: str
) -> None:
    monkeypatch.setenv("CORS_ORIGIN", origin)

    _, _, headers = call(event | {"headers": {**event["headers"], "Origin": "https://elsewhere.example.com"}})

    assert headers.get("Access-Control-Allow-Origin", "") == origin
    assert ("Outcome-Id" in headers.get("Access-Control-Expose-Headers", "")) == bool(origin)
    assert headers["Cache-Control"] == "no-store"


def test_a_client_sees_the_outcomes_of_its_object_types_alone(functions: Deployment, hubspot: FakeHubSpot) -> None:
    _, _, own = call(api_event("POST", PATH, body=BODY))
    _, _, other = call(api_event("POST", PATH.replace("deals", "companies"), body=BODY))

    def seen(path: str, **query: str) -> tuple[int, dict[str, Any]]:
        return call(api_event("GET", path, query=query, Authorization="Bearer guest-key"))[:2]

    assert seen(own["Location"])[0] == 200
    assert seen(other["Location"])[0] == 404
    assert [outcome["id"] for outcome in seen("/outcomes")[1]["results"]] == [own["Outcome-Id"]]
    assert seen("/outcomes", **{"from": "companies", "to": "contacts"})[0] == 403


def test_a_client_that_may_not_replay_is_refused(functions: Deployment, hubspot: FakeHubSpot) -> None:
    _, _, own = call(api_event("POST", PATH, body=BODY))

    status, body, _ = call(api_event("POST", f"{own['Location']}/replay", Authorization="Bearer guest-key"))

    assert (status, body["category"]) == (403, "FORBIDDEN")
    assert "mayReplay" in body["message"]
