"""A refresh of a token is sent as HubSpot documents it, and shows no secret however it fails."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote_plus

import pytest
import requests
import responses

from hubspot_api.client import HubSpot
from model.access_token import RefreshedToken
from model.errors import HubSpotFailure, Misconfigured, Unavailable, Uncertain
from tests.support.hubspot_api import TOKEN

REFRESH = "https://hubspot.test/oauth/2026-03/token"
SECRET, REFRESH_TOKEN = "client/secret+1", "refresh token/1"


def refresh(hubspot: HubSpot, seconds: float = 30) -> RefreshedToken:
    return hubspot.refresh("client-1", SECRET, REFRESH_TOKEN, "2026-03", seconds)


def refresh_failure(hubspot: HubSpot) -> HubSpotFailure:
    """Why a refresh failed: without a secret in anything that could be shown."""
    with pytest.raises(HubSpotFailure) as caught:
        refresh(hubspot)
    failed = caught.value
    shown = "".join(traceback.format_exception(failed)) + repr(failed) + str(failed.body)
    assert not {one for one in (SECRET, REFRESH_TOKEN, TOKEN) if one in shown}
    return failed


def test_a_refresh_is_a_form_as_hubspot_documents_it(http: responses.RequestsMock, hubspot: HubSpot) -> None:
    http.post(
        REFRESH, json={"access_token": TOKEN, "expires_in": 1800, "refresh_token": "next", "token_type": "bearer"}
    )

    assert refresh(hubspot) == RefreshedToken(TOKEN, 1800, "next")

    sent: Any = http.calls[0].request
    assert sent.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert "Authorization" not in sent.headers
    assert parse_qs(sent.body) == {
        "grant_type": ["refresh_token"],
        "client_id": ["client-1"],
        "client_secret": [SECRET],
        "refresh_token": [REFRESH_TOKEN],
    }


def test_a_refresh_sends_no_password_of_a_netrc_file(
    http: responses.RequestsMock, hubspot: HubSpot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine hubspot.test login someone password something")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    http.post(REFRESH, json={"access_token": TOKEN, "expires_in": 1800})

    refresh(hubspot)

    assert "Authorization" not in http.calls[0].request.headers


def test_a_refresh_token_that_hubspot_gives_again_stays_as_it_is(
    http: responses.RequestsMock, hubspot: HubSpot
) -> None:
    http.post(REFRESH, json={"access_token": TOKEN, "expires_in": 1800, "refresh_token": "same"})

    assert hubspot.refresh("client-1", SECRET, "same", "2026-03", 30).refresh_token == "same"


def test_a_refresh_without_another_refresh_token_leaves_the_old_one(
    http: responses.RequestsMock, hubspot: HubSpot
) -> None:
    http.post(REFRESH, json={"access_token": "x" * 2_000, "expires_in": 0})

    assert refresh(hubspot) == RefreshedToken("x" * 2_000, 0, None)


@pytest.mark.parametrize("status", ["BAD_REFRESH_TOKEN", "BAD_CLIENT_ID", "BAD_CLIENT_SECRET", "BAD_HUB"])
@pytest.mark.parametrize("http_status", [400, 401, 403, 404, 422])
def test_a_refused_refresh_is_for_the_owner_to_mend(
    http: responses.RequestsMock, hubspot: HubSpot, status: str, http_status: int
) -> None:
    body = {"status": status, "error": "invalid_grant", "message": "words", "correlationId": "c-7"}
    http.post(REFRESH, json=body, status=http_status)

    failed = refresh_failure(hubspot)

    assert type(failed) is Misconfigured
    assert failed.portal_wide
    assert failed.message == f"{status}, invalid_grant: words"
    assert (failed.http_status, failed.correlation_id) == (http_status, "c-7")


@pytest.mark.parametrize("body", [{"status": "error", "message": "words"}, {"error": 5, "message": "words"}])
def test_a_refusal_without_a_reason_is_hubspots_message(
    http: responses.RequestsMock, hubspot: HubSpot, body: dict[str, object]
) -> None:
    http.post(REFRESH, json=body, status=400)

    assert refresh_failure(hubspot).message == "words"


def in_url(text: str) -> str:
    return json.dumps(quote_plus(text))


def escaped(text: str) -> str:
    return '"' + "".join(f"\\u{ord(character):04x}" for character in text) + '"'


def slashed(text: str) -> str:
    return json.dumps(text).replace("/", "\\/")


@pytest.mark.parametrize("status", [400, 403, 429, 503])
@pytest.mark.parametrize("field", ["status", "error", "message"])
@pytest.mark.parametrize("secret", [SECRET, REFRESH_TOKEN])
@pytest.mark.parametrize("written", [json.dumps, in_url, escaped, slashed])
def test_a_secret_that_hubspot_repeats_is_taken_out_however_it_is_written(
    http: responses.RequestsMock, hubspot: HubSpot, status: int, field: str, secret: str, written: Callable[[str], str]
) -> None:
    http.post(REFRESH, body=f'{{"{field}": {written(f"what is {secret}?")}}}', status=status)

    message = refresh_failure(hubspot).message

    assert quote_plus(secret) not in message


@pytest.mark.parametrize(
    ("status", "kind"),
    [(301, Misconfigured), (429, Unavailable), (477, Unavailable), (500, Uncertain), (503, Uncertain)],
)
def test_a_refresh_that_is_not_refused_fails_like_any_call(
    http: responses.RequestsMock, hubspot: HubSpot, status: int, kind: type[HubSpotFailure]
) -> None:
    http.post(REFRESH, json={}, status=status)

    failed = refresh_failure(hubspot)

    assert type(failed) is kind
    assert failed.retry_after == (10 if status == 429 else None)


@pytest.mark.parametrize(
    "granted",
    [
        {},
        {"access_token": TOKEN},
        {"access_token": TOKEN, "expires_in": -1},
        {"access_token": TOKEN, "expires_in": 1e12},
        {"access_token": TOKEN, "expires_in": "soon"},
        {"access_token": f"{TOKEN} {TOKEN}", "expires_in": 1800},
        {"access_token": f"{TOKEN}\n", "expires_in": 1800},
        {"access_token": "", "expires_in": 1800, "refresh_token": TOKEN},
    ],
)
def test_a_grant_that_cannot_be_read_is_uncertain_and_not_shown(
    http: responses.RequestsMock, hubspot: HubSpot, granted: dict[str, object]
) -> None:
    http.post(REFRESH, json=granted, headers={"X-HubSpot-Correlation-Id": "c"})

    failed = refresh_failure(hubspot)

    assert type(failed) is Uncertain
    assert (failed.body, failed.correlation_id) == (None, "c")


def test_a_broken_refresh_shows_no_secret(http: responses.RequestsMock, hubspot: HubSpot) -> None:
    http.post(REFRESH, body=requests.exceptions.ReadTimeout())

    assert type(refresh_failure(hubspot)) is Uncertain
