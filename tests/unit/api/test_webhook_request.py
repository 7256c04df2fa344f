"""A request is read as its path and its body say, and refused in words that name what is wrong with it."""

from __future__ import annotations

import base64
import json
from base64 import b64encode
from datetime import datetime, timedelta

import pytest

from model.records import iso, milliseconds
from tests.support.aws import Deployment
from tests.support.events import api_event
from tests.support.fakes import START, Clock, FakeHubSpot, key
from tests.support.webhook import BODY, PATH, call, get, is_hubspots_error


def test_another_portal_and_version_are_used_as_the_path_says(functions: Deployment, hubspot: FakeHubSpot) -> None:
    path = f"/portals/acme{PATH.replace('2026-03', '2026-09')}"

    status, _, _ = call(api_event("POST", path, body=BODY))

    assert status == 201
    assert hubspot.tokens == ["token-acme"]
    assert hubspot.created[0][0].api_version == "2026-09"


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


@pytest.mark.parametrize(
    ("sent", "taken"),
    [
        (START - timedelta(seconds=3), START - timedelta(seconds=3)),
        (START, START),
        (START + timedelta(minutes=1), START),  # nobody is younger than now, however much a clock is ahead
    ],
)
def test_a_request_was_made_when_it_came_to_api_gateway(functions: Deployment, sent: datetime, taken: datetime) -> None:
    event = api_event("POST", PATH, body=BODY)
    event["requestContext"]["requestTimeEpoch"] = milliseconds(sent)

    _, _, headers = call(event)

    assert get(headers["Location"])[1]["requestedAt"] == iso(taken)


def test_a_request_that_was_made_before_another_does_not_undo_it_whichever_begins_first(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock
) -> None:
    younger, older = (
        api_event("POST", PATH, body={"inputs": [{**BODY["inputs"][0], "maxToObjectIds": most}]}) for most in (9, 5)
    )
    clock.advance(10)
    younger["requestContext"]["requestTimeEpoch"] = milliseconds(START + timedelta(seconds=2))
    older["requestContext"]["requestTimeEpoch"] = milliseconds(START + timedelta(seconds=1))

    assert call(younger)[0] == 201
    clock.advance(1)
    call(older)

    assert hubspot.limits == {key(3): 9}


def test_a_version_that_the_settings_do_not_allow_is_404(functions: Deployment) -> None:
    status, error, _ = call(api_event("POST", PATH.replace("2026-03", "2020-01"), body=BODY))

    assert status == 404
    assert "2026-03" in error["message"]


def test_a_body_in_base64_is_read_and_bad_utf_8_in_it_is_400(functions: Deployment) -> None:
    good = api_event("POST", PATH, body=b64encode(json.dumps(BODY).encode()).decode()) | {"isBase64Encoded": True}
    bad = api_event("POST", PATH, body=b64encode(b"\xff{}").decode()) | {"isBase64Encoded": True}

    assert call(good)[0] == 201
    assert call(bad)[0] == 400
