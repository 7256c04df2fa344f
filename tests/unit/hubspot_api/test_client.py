"""The HTTP client: what it sends, and what it makes of every kind of answer. `responses` keeps it from sockets."""

from __future__ import annotations

import json
import socket
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote_plus

import pytest
import requests
import responses
from urllib3.exceptions import MaxRetryError, NameResolutionError, NewConnectionError, ProtocolError

from hubspot_api.client import CONNECT_TIMEOUT, LONGEST_READ, HubSpot
from model.access_token import RefreshedToken
from model.contract import Category, LimitInput
from model.errors import HubSpotFailure, Misconfigured, Refused, Unavailable, Uncertain
from model.pair import Pair

PAIR = Pair("2026-03", "deals", "contacts")
READ = "https://hubspot.test/crm/associations/2026-03/definitions/configurations/deals/contacts"
CREATE = f"{READ}/batch/create"
LIMIT = LimitInput(category=Category.HUBSPOT_DEFINED, type_id=3, max_to_object_ids=5)
TOKEN = "pat-eu1-0123456789"


@pytest.fixture
def http() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


@pytest.fixture
def hubspot() -> HubSpot:
    return HubSpot("https://hubspot.test")


def create(hubspot: HubSpot, seconds: float = 30) -> Any:
    return hubspot.batch_create(TOKEN, PAIR, [LIMIT], seconds)


def failure(hubspot: HubSpot) -> HubSpotFailure:
    with pytest.raises(HubSpotFailure) as caught:
        create(hubspot)
    return caught.value


def test_a_create_is_sent_as_hubspot_documents_it(http: responses.RequestsMock, hubspot: HubSpot) -> None:
    http.post(CREATE, json={"status": "COMPLETE", "results": []}, status=201, headers={"X-HubSpot-Correlation-Id": "c"})

    answer = create(hubspot)

    sent: Any = http.calls[0].request
    assert json.loads(sent.body) == {"inputs": [{"category": "HUBSPOT_DEFINED", "typeId": 3, "maxToObjectIds": 5}]}
    assert sent.headers["Authorization"] == f"Bearer {TOKEN}"
    assert sent.headers["User-Agent"].startswith("hubspot-association-limits/")
    assert sent.headers["Content-Type"] == "application/json"
    assert (answer.http_status, answer.correlation_id) == (201, "c")
    assert json.loads(answer.text) == {"status": "COMPLETE", "results": []}


@pytest.mark.parametrize("status", [200, 201, 207])
def test_any_2xx_is_an_answer(http: responses.RequestsMock, hubspot: HubSpot, status: int) -> None:
    http.post(CREATE, json={"status": "COMPLETE", "results": []}, status=status)

    assert create(hubspot).http_status == status


@pytest.mark.parametrize(
    ("seconds", "read"), [(100, LONGEST_READ), (10, 10 - CONNECT_TIMEOUT), (CONNECT_TIMEOUT + 0.5, 0.5)]
)
def test_timeouts_fit_the_time_that_is_left(
    http: responses.RequestsMock, hubspot: HubSpot, seconds: float, read: float
) -> None:
    http.post(CREATE, json={"status": "COMPLETE", "results": []})

    create(hubspot, seconds)

    sent: Any = http.calls[0].request
    assert sent.req_kwargs["timeout"] == (CONNECT_TIMEOUT, pytest.approx(read))


def test_without_time_nothing_is_sent(http: responses.RequestsMock, hubspot: HubSpot) -> None:
    with pytest.raises(Unavailable, match="no time"):
        create(hubspot, CONNECT_TIMEOUT)
    assert len(http.calls) == 0


STATUSES: list[tuple[int, type[HubSpotFailure]]] = [
    *((status, Refused) for status in (400, 404, 405, 409, 410, 413, 415, 422)),
    *((status, Misconfigured) for status in (301, 302, 307, 401, 403)),
    *((status, Unavailable) for status in (423, 429, 477, 522, 525, 526)),
    *((status, Uncertain) for status in (500, 501, 502, 503, 504, 521, 523, 524, 599)),
]


@pytest.mark.parametrize(("status", "kind"), STATUSES)
def test_each_status_says_what_to_do_next(
    http: responses.RequestsMock, hubspot: HubSpot, status: int, kind: type[HubSpotFailure]
) -> None:
    body = {"status": "error", "message": "words", "correlationId": "c-7", "category": "ANY"}
    http.post(CREATE, json=body, status=status)

    failed = failure(hubspot)

    assert type(failed) is kind
    assert failed.message == "words"
    assert (failed.http_status, failed.correlation_id) == (status, "c-7")
    assert json.loads(failed.body or "") == body


@pytest.mark.parametrize(
    ("status", "body", "headers", "seconds"),
    [
        (423, {}, {}, 2),
        (429, {"policyName": "TEN_SECONDLY_ROLLING"}, {}, 10),
        (429, {}, {}, 10),
        (429, {}, {"Retry-After": "60"}, 10),  # HubSpot defines the header for 477 alone
        (477, {}, {"Retry-After": "86400"}, 86400),
        (477, {}, {"Retry-After": "tomorrow"}, None),
        (477, {}, {"Retry-After": "-5"}, None),
        (503, {}, {"Retry-After": "60"}, None),
        (503, {}, {}, None),
    ],
)
def test_the_time_to_wait_is_hubspots(
    http: responses.RequestsMock, hubspot: HubSpot, status: int, body: Any, headers: dict[str, str], seconds: int | None
) -> None:
    http.post(CREATE, json=body, status=status, headers=headers)

    failed = failure(hubspot)
    assert (failed.retry_after, failed.daily) == (seconds, False)


@pytest.mark.parametrize(
    ("status", "policy", "daily"),
    [(429, "DAILY", True), (429, "TEN_SECONDLY_ROLLING", False), (429, None, False), (423, "DAILY", False)],
)
def test_a_spent_quota_of_the_day_is_told_by_the_policys_name(
    http: responses.RequestsMock, hubspot: HubSpot, status: int, policy: str | None, daily: bool
) -> None:
    http.post(CREATE, json={"status": "error", "errorType": "RATE_LIMIT", "policyName": policy}, status=status)

    assert failure(hubspot).daily is daily


@pytest.mark.parametrize(("status", "kind"), STATUSES)
def test_what_is_said_of_the_portal_is_told_from_what_is_said_of_a_call(
    http: responses.RequestsMock, hubspot: HubSpot, status: int, kind: type[HubSpotFailure]
) -> None:
    http.post(CREATE, json={}, status=status)

    assert failure(hubspot).portal_wide is (status in (301, 302, 307, 401, 429, 477))


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b'{"results": [', b"[]", b'"COMPLETE"', b'{"results": {}}', b"\xff\xfe"]
)
def test_a_2xx_that_cannot_be_read_is_uncertain(http: responses.RequestsMock, hubspot: HubSpot, body: bytes) -> None:
    http.post(CREATE, body=body, status=201, headers={"X-HubSpot-Correlation-Id": "c"})

    failed = failure(hubspot)

    assert type(failed) is Uncertain
    assert failed.correlation_id == "c"


@pytest.mark.parametrize("body", [b"", b"<html>Bad gateway</html>", b"[1]", b'{"message": 5}'])
def test_an_error_without_hubspots_shape_is_judged_by_its_status(
    http: responses.RequestsMock, hubspot: HubSpot, body: bytes
) -> None:
    http.post(CREATE, body=body, status=502)

    assert type(failure(hubspot)) is Uncertain


POOL: Any = None
NEVER_SENT = [
    requests.exceptions.ConnectTimeout(),
    requests.exceptions.SSLError(),
    requests.exceptions.ConnectionError(MaxRetryError(POOL, "/", NewConnectionError(POOL, "refused"))),
    requests.exceptions.ConnectionError(MaxRetryError(POOL, "/", NameResolutionError("host", POOL, socket.gaierror()))),
]
PERHAPS_SENT = [
    requests.exceptions.ReadTimeout(),
    requests.exceptions.ConnectionError(ProtocolError("Connection aborted.")),
    requests.exceptions.ChunkedEncodingError(),
    requests.exceptions.ContentDecodingError(),
]


@pytest.mark.parametrize(
    ("error", "kind"), [*((e, Unavailable) for e in NEVER_SENT), *((e, Uncertain) for e in PERHAPS_SENT)], ids=repr
)
def test_a_broken_connection_is_told_by_whether_anything_was_sent(
    http: responses.RequestsMock, hubspot: HubSpot, error: Exception, kind: type[HubSpotFailure]
) -> None:
    http.post(CREATE, body=error)

    assert type(failure(hubspot)) is kind


def test_nothing_is_sent_twice(http: responses.RequestsMock, hubspot: HubSpot) -> None:
    http.post(CREATE, status=503)

    failure(hubspot)

    assert len(http.calls) == 1


def test_a_redirect_is_not_followed(http: responses.RequestsMock, hubspot: HubSpot) -> None:
    http.post(CREATE, status=307, headers={"Location": "https://elsewhere.test/"})

    assert type(failure(hubspot)) is Misconfigured
    assert [call.request.url for call in http.calls] == [CREATE]


@pytest.mark.parametrize(
    "context", [{"missingScopes": ["crm.objects.deals.read", "x"]}, "{missingScopes=[crm.objects.deals.read, x]}"]
)
def test_missing_scopes_are_named(http: responses.RequestsMock, hubspot: HubSpot, context: object) -> None:
    http.post(CREATE, json={"message": "no", "errors": [{"message": "m", "context": context}]}, status=403)

    assert "crm.objects.deals.read" in failure(hubspot).message


def test_a_token_that_hubspot_repeats_is_taken_out(http: responses.RequestsMock, hubspot: HubSpot) -> None:
    http.post(CREATE, json={"message": f"the token {TOKEN} expired"}, status=401)

    failed = failure(hubspot)

    assert TOKEN not in failed.message + (failed.body or "")


def test_the_limits_of_a_pair_are_read(http: responses.RequestsMock, hubspot: HubSpot) -> None:
    rows = [
        {"category": "HUBSPOT_DEFINED", "typeId": 3, "userEnforcedMaxToObjectIds": 5, "label": None},
        {"category": "USER_DEFINED", "typeId": 3, "userEnforcedMaxToObjectIds": None},
        {"typeId": 4},
    ]
    http.get(READ, json={"results": rows})

    assert hubspot.read_pair(TOKEN, PAIR, 30) == {("HUBSPOT_DEFINED", 3): 5, ("USER_DEFINED", 3): None}


def test_a_read_without_results_is_no_proof_that_nothing_is_set(http: responses.RequestsMock, hubspot: HubSpot) -> None:
    http.get(READ, json={})

    with pytest.raises(Uncertain):
        hubspot.read_pair(TOKEN, PAIR, 30)


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


ACCOUNT = "https://hubspot.test/account-info/2026-03/details"


def test_the_account_of_a_token_is_asked_for(http: responses.RequestsMock, hubspot: HubSpot) -> None:
    http.get(ACCOUNT, json={"portalId": 7, "accountType": "STANDARD"})

    assert hubspot.hub_id(TOKEN, "2026-03", 30) == 7
    assert http.calls[0].request.headers["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, {}, Uncertain),
        (200, {"portalId": "seven"}, Uncertain),
        (401, {}, Misconfigured),
        (404, {}, Refused),
        (503, {}, Uncertain),
    ],
)
def test_without_an_answer_the_account_is_not_known(
    http: responses.RequestsMock, hubspot: HubSpot, status: int, body: object, kind: type[HubSpotFailure]
) -> None:
    http.get(ACCOUNT, json=body, status=status)

    with pytest.raises(HubSpotFailure) as caught:
        hubspot.hub_id(TOKEN, "2026-03", 30)
    assert type(caught.value) is kind
    assert caught.value.http_status == status
