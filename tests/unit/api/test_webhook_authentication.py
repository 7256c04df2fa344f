"""Who calls the webhook is known by its key or its role, and does and sees no more than its client may."""

from __future__ import annotations

import json
from typing import Any

import pytest

import production
from tests.support.aws import ROLE, Deployment
from tests.support.events import api_event
from tests.support.fakes import Clock, FakeHubSpot
from tests.support.webhook import BODY, PATH, call, get, is_hubspots_error


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
        ("guest", PATH.replace("contacts", "0-2"), 403, "forbidden"),
        ("guest", PATH.replace("contacts", "p_car"), 403, "forbidden"),
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
