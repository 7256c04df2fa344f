"""The HTTP client sends what HubSpot documents, once and within its time, and reads limits, accounts and types."""

from __future__ import annotations

import json
from typing import Any

import pytest
import responses

from hubspot_api.client import CONNECT_TIMEOUT, LONGEST_READ, HubSpot
from model.errors import HubSpotFailure, Misconfigured, Refused, Unavailable, Uncertain
from tests.support.hubspot_api import CREATE, PAIR, READ, TOKEN, create, failure


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


def test_nothing_is_sent_twice(http: responses.RequestsMock, hubspot: HubSpot) -> None:
    http.post(CREATE, status=503)

    failure(hubspot)

    assert len(http.calls) == 1


def test_a_redirect_is_not_followed(http: responses.RequestsMock, hubspot: HubSpot) -> None:
    http.post(CREATE, status=307, headers={"Location": "https://elsewhere.test/"})

    assert type(failure(hubspot)) is Misconfigured
    assert [call.request.url for call in http.calls] == [CREATE]


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


SCHEMA = "https://hubspot.test/crm-object-schemas/2026-03/schemas/p_car"


def test_the_id_of_an_object_type_is_asked_for_by_name(http: responses.RequestsMock, hubspot: HubSpot) -> None:
    http.get(SCHEMA, json={"name": "car", "fullyQualifiedName": "p7_car", "objectTypeId": "2-456"})

    assert hubspot.object_type(TOKEN, "2026-03", "p_car", 30) == "2-456"
    assert http.calls[0].request.headers["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, {}, Uncertain),
        (200, [], Uncertain),
        (200, {"objectTypeId": None}, Uncertain),
        (200, {"objectTypeId": 456}, Uncertain),
        (200, {"objectTypeId": "2-0456"}, Uncertain),
        (200, {"objectTypeId": "p7_car"}, Uncertain),
        (401, {}, Misconfigured),
        (403, {}, Misconfigured),
        (404, {}, Refused),
        (503, {}, Uncertain),
    ],
)
def test_without_an_answer_the_object_type_is_not_known(
    http: responses.RequestsMock, hubspot: HubSpot, status: int, body: object, kind: type[HubSpotFailure]
) -> None:
    http.get(SCHEMA, json=body, status=status)

    with pytest.raises(HubSpotFailure) as caught:
        hubspot.object_type(TOKEN, "2026-03", "p_car", 30)
    assert type(caught.value) is kind
    assert caught.value.http_status == status
