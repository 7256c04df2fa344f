"""The HTTP client: what it sends, and what it makes of every kind of answer. `responses` keeps it from sockets."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import responses
from urllib3.exceptions import MaxRetryError, NameResolutionError, NewConnectionError, ProtocolError

from batch_create.contract import Category, LimitInput
from batch_create.errors import HubSpotFailure, Misconfigured, Refused, Unavailable, Uncertain
from batch_create.hubspot import CONNECT_TIMEOUT, LONGEST_READ, HubSpot, Pair

PAIR = Pair("2026-03", "deals", "contacts")
READ = "https://hubspot.test/crm/associations/2026-03/definitions/configurations/deals/contacts"
CREATE = f"{READ}/batch/create"
LIMIT = LimitInput(category=Category.HUBSPOT_DEFINED, typeId=3, maxToObjectIds=5)
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
        (429, {"policyName": "DAILY"}, {}, 3600),
        (429, {}, {}, 10),
        (477, {}, {"Retry-After": "86400"}, 86400),
        (477, {}, {"Retry-After": "tomorrow"}, None),
        (503, {}, {}, None),
    ],
)
def test_the_time_to_wait_is_hubspots(
    http: responses.RequestsMock, hubspot: HubSpot, status: int, body: Any, headers: dict[str, str], seconds: int | None
) -> None:
    http.post(CREATE, json=body, status=status, headers=headers)

    assert failure(hubspot).retry_after == seconds


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
