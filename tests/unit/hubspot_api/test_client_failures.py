"""Each kind of failure says what to do next, how long to wait, whom it concerns, and no token."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
import requests
import responses
from urllib3.exceptions import MaxRetryError, NameResolutionError, NewConnectionError, ProtocolError

from hubspot_api.client import HubSpot
from model.errors import HubSpotFailure, Misconfigured, Refused, Unavailable, Uncertain
from tests.support.hubspot_api import CREATE, TOKEN, failure

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
