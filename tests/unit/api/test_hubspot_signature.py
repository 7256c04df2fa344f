"""HubSpot's signature: known answers, and nothing that was changed passes."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import production
import webhook
from api import hubspot_signature
from api.hubspot_signature import SIGNATURE, TIME, is_signed, is_timely, queries
from model.outcomes import Outcome, Status
from tests.support.aws import PREFIX, Deployment
from tests.support.events import Context, api_event
from tests.support.fakes import Clock, FakeHubSpot

SECRET = "app-secret"
TIMED = "1795424400000"
AT = datetime(2026, 11, 23, 9, tzinfo=UTC)
HOST = "https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com"
PATH = "/crm/associations/2026-03/definitions/configurations/deals/contacts/batch/create"
ADDRESS = f"{HOST}/v1{PATH}"
BODY = b'{"inputs":[{"category":"HUBSPOT_DEFINED","typeId":3,"maxToObjectIds":5}]}'


# Made by `openssl dgst -sha256 -hmac app-secret -binary | base64` of the four parts.
@pytest.mark.parametrize(
    ("address", "body", "expected"),
    [
        (ADDRESS, BODY, "vg4I9hJoZspE9U7IZSp1OI5CfL5NF0PSBGnMuPEh6Mk="),
        # %3A and %2F are decoded, %20 and %26 are not.
        (f"{ADDRESS}?from=a%3Ab%2Fc%20d%26e&to=%28x%29%21", BODY, "xmRc6/P/hGIZAxYROWSUdNthvCJjGsF3ka1jSsbJVDE="),
        (f"{ADDRESS}?from=a%3ab%2fc%20d%26e&to=(x)!", BODY, "xmRc6/P/hGIZAxYROWSUdNthvCJjGsF3ka1jSsbJVDE="),
        ("https://limits.example.com/crm", "Grüße".encode(), "/ifkxwtiO7oqgJuNBqNeK3XfmfDn4EAg2uiBEIFC6JM="),
    ],
)
def test_known_answers(address: str, body: bytes, expected: str) -> None:
    assert hubspot_signature.signature(SECRET, "POST", address, body, TIMED) == expected
    assert is_signed(SECRET, "POST", [address], body, TIMED, expected)


@pytest.mark.parametrize("character", ":/?@!$'()*,;")
def test_these_characters_are_signed_as_they_are_however_the_address_has_them(character: str) -> None:
    escaped = f"%{ord(character):02X}"

    def signed(text: str) -> str:
        return hubspot_signature.signature(SECRET, "GET", f"{HOST}/?a={text}", b"", TIMED)

    assert signed(character) == signed(escaped) == signed(escaped.lower())


@pytest.mark.parametrize(
    "escaped", ["%20", "%22", "%23", "%25", "%26", "%2B", "%3C", "%3D", "%5B", "%5D", "%7B", "%C3%BC"]
)
def test_all_other_characters_are_signed_as_they_are_escaped(escaped: str) -> None:
    text = f"{HOST}/?a={escaped}"

    made = hubspot_signature.signature(SECRET, "GET", text, b"", TIMED)

    assert is_signed(SECRET, "GET", [text], b"", TIMED, made)
    assert not is_signed(SECRET, "GET", [f"{HOST}/?a={escaped.replace('%', '%25')}"], b"", TIMED, made)


parts = st.sampled_from(["method", "address", "body", "time", "signature", "secret"])


@given(parts, st.integers(min_value=0), st.integers(0, 255))
def test_a_request_of_which_one_byte_was_changed_is_refused(part: str, place: int, value: int) -> None:
    query = "?cursor=abc"
    whole: dict[str, bytes] = {
        "method": b"POST",
        "address": f"{ADDRESS}{query}".encode(),
        "body": BODY,
        "time": TIMED.encode(),
        "secret": SECRET.encode(),
        "signature": hubspot_signature.signature(SECRET, "POST", ADDRESS + query, BODY, TIMED).encode(),
    }
    changed = bytearray(whole[part])
    index = place % len(changed)
    assume(changed[index] != value)
    changed[index] = value
    told = whole | {part: bytes(changed)}
    text = {name: value.decode("latin-1") for name, value in told.items()}

    assert not is_signed(
        text["secret"], text["method"], [text["address"]], told["body"], text["time"], text["signature"]
    )


@given(st.integers(-(10**7), 10**7))
def test_a_time_is_good_for_five_minutes_to_either_side(off: int) -> None:
    assert is_timely(str(int(TIMED) + off), AT) == (abs(off) <= 300_000)


@pytest.mark.parametrize(
    "time", ["", "now", "1795424400", "-1795424400000", "1795424400000.0", "١٧٩٥٤٢٤٤٠٠٠٠٠", "9" * 5_000]
)
def test_what_is_no_time_in_milliseconds_is_not_timely(time: str) -> None:
    assert not is_timely(time, AT)


words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


@given(st.dictionaries(words, st.lists(words, min_size=1, max_size=2), min_size=1, max_size=3), st.booleans())
def test_a_query_is_found_again_from_the_decoded_parameters(parameters: dict[str, list[str]], plus: bool) -> None:
    escape = quote_plus if plus else quote
    sent = "&".join(
        f"{escape(name, safe='')}={escape(value, safe='')}" for name, values in parameters.items() for value in values
    )
    made = hubspot_signature.signature(SECRET, "POST", f"{ADDRESS}?{sent}", BODY, TIMED)

    found = list(queries(parameters))

    assert is_signed(SECRET, "POST", [ADDRESS + query for query in found], BODY, TIMED, made)
    for query in found:
        assert sorted(parse_qsl(query[1:], keep_blank_values=True)) == sorted(parse_qsl(sent, keep_blank_values=True))


def test_without_parameters_there_is_no_query() -> None:
    assert list(queries(None)) == list(queries({})) == [""]


# -------------------------------------------------------------------------------------------------- through the webhook
@pytest.fixture
def app(functions: Deployment) -> Iterator[Deployment]:
    """A deployment of which the portal `acme` has an app that signs."""
    acme = f"{PREFIX}/acme"
    before = functions.secrets.get_secret_value(SecretId=acme)["SecretString"]
    functions.secrets.put_secret_value(
        SecretId=acme, SecretString=json.dumps({**json.loads(before), "appSecret": SECRET})
    )
    yield functions
    functions.secrets.put_secret_value(SecretId=acme, SecretString=before)


def signed_event(
    now: datetime,
    *,
    path: str = f"/portals/acme{PATH}",
    body: bytes = BODY,
    secret: str = SECRET,
    base: str = HOST + "/v1",
) -> dict[str, Any]:
    time = str(round(now.timestamp() * 1000))
    made = hubspot_signature.signature(secret, "POST", base + path, body, time)
    event = api_event("POST", path, body=body.decode(), Authorization=None)
    event["requestContext"]["path"] = f"/v1{path}"
    for name, value in ((SIGNATURE, made), (TIME, time)):
        event["headers"][name] = value
        event["multiValueHeaders"][name] = [value]
    return event


def call(event: dict[str, Any]) -> tuple[int, dict[str, Any], dict[str, str]]:
    reply = webhook.handler(event, Context())
    headers = {name: values[0] for name, values in reply["multiValueHeaders"].items()}
    return reply["statusCode"], json.loads(reply["body"]), headers


def kept(outcome_id: str) -> Outcome:
    outcome = production.ledger().get(outcome_id)
    assert outcome is not None
    return outcome


def test_what_hubspot_has_signed_is_queued_without_a_key(app: Deployment, clock: Clock, hubspot: FakeHubSpot) -> None:
    status, body, headers = call(signed_event(clock()))

    assert (status, body["status"]) == (202, "PENDING")
    outcome = kept(headers["Outcome-Id"])
    assert (outcome.portal, outcome.client, outcome.status) == ("acme", "hubspot", Status.QUEUED)
    assert len(app.messages()) == 1
    assert hubspot.created == []  # HubSpot waits for no answer of HubSpot's


def test_the_raw_bytes_count_also_where_the_gateway_hands_them_on_in_base64(app: Deployment, clock: Clock) -> None:
    event = signed_event(clock())
    event |= {"body": b64encode(BODY).decode(), "isBase64Encoded": True}

    assert call(event)[0] == 202


def test_a_request_that_is_repeated_is_done_once(app: Deployment, clock: Clock) -> None:
    event = signed_event(clock())
    first = call(event)

    clock.advance(299)
    event["requestContext"]["requestId"] = "another"
    event["headers"]["Idempotency-Key"] = "another"
    event["multiValueHeaders"]["Idempotency-Key"] = ["another"]
    again = call(event)

    assert again[2]["Outcome-Id"] == first[2]["Outcome-Id"]
    clock.advance(2)
    assert call(event)[0] == 401


def test_neither_secret_nor_signature_is_kept_or_printed(
    app: Deployment, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    event = signed_event(clock())
    made = event["headers"][SIGNATURE]

    _, body, headers = call(event)
    wrong = signed_event(clock(), secret="wrong-secret")
    call(wrong)

    everything = capsys.readouterr().out + json.dumps([body, headers]) + str(app.messages())
    everything += str(app.dynamodb.scan(TableName=app.table)["Items"])
    for text in (SECRET, made, b64decode(made).hex(), wrong["headers"][SIGNATURE]):
        assert text not in everything


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"secret": "wrong"}, "signature"),
        ({"base": "https://elsewhere.example.com/v1"}, "signature"),
        ({"path": PATH}, "signature"),  # the portal default has no app
        ({"path": f"/portals/nobody{PATH}"}, "signature"),
        ({"path": f"/portals/..{PATH}"}, "signature"),
        ({"late": 301}, "time"),
        ({"late": -301}, "time"),
    ],
)
def test_what_is_not_signed_for_its_portal_is_refused_and_counted(
    app: Deployment,
    clock: Clock,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, Any],
    reason: str,
) -> None:
    sent_at = clock() - timedelta(seconds=change.pop("late", 0))

    status, body, _ = call(signed_event(sent_at, **change))

    assert (status, body["category"]) == (401, "INVALID_AUTHENTICATION")
    counted = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "CallerRefused" in line]
    assert [line["reason"] for line in counted] == [reason]
    assert app.messages() == []


def test_a_signature_opens_no_other_portal_and_reads_nothing(app: Deployment, clock: Clock) -> None:
    event = signed_event(clock())
    _, _, headers = call(event)
    other = signed_event(clock())
    other["path"] = f"/portals/default{PATH}"

    reading = api_event("GET", headers["Location"], Authorization=None)
    reading["headers"] |= {name: event["headers"][name] for name in (SIGNATURE, TIME)}

    assert call(other)[0] == 401
    assert call(reading)[0] == 401


def test_a_new_app_secret_is_known_at_once(app: Deployment, clock: Clock) -> None:
    assert call(signed_event(clock()))[0] == 202
    app.secrets.put_secret_value(
        SecretId=f"{PREFIX}/acme", SecretString=json.dumps({"accessToken": "token-acme", "appSecret": "new-secret"})
    )
    clock.advance(10)

    assert call(signed_event(clock(), secret="new-secret"))[0] == 202


def test_behind_a_proxy_the_public_address_counts(
    app: Deployment, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUBLIC_URL", "https://limits.example.com/api")
    production.settings.cache_clear()

    assert call(signed_event(clock(), base="https://limits.example.com/api"))[0] == 202
    assert call(signed_event(clock()))[0] == 401


def test_a_key_counts_where_there_is_one(app: Deployment, clock: Clock, hubspot: FakeHubSpot) -> None:
    event = signed_event(clock(), secret="wrong")
    event["headers"]["Authorization"] = "Bearer crm-key"
    event["multiValueHeaders"]["Authorization"] = ["Bearer crm-key"]

    assert call(event)[0] == 201
