"""A client with a list of object types may use them by all of their names, once HubSpot has told what they mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

import production
import webhook
from api.clients import Client, Forbidden
from api.query import permitted_filter
from batch_create.handler import run
from ledger.claim import Claim
from model.object_types import object_type_id
from model.outcomes import Request
from model.records import milliseconds
from tests.support.aws import Deployment
from tests.support.events import api_event
from tests.support.fakes import Clock, FakeHubSpot, failed
from tests.support.webhook import BODY, PATH, Reply, call

BOATS = PATH.replace("contacts", "p_boat")  # which `guest` may use


def as_guest(method: str, path: str, **query: str) -> Reply:
    body = BODY if method == "POST" else None
    event = api_event(method, path, body=body, query=query or None, Authorization="Bearer guest-key")
    event["requestContext"]["requestTimeEpoch"] = milliseconds(production.now())
    return call(event)


@pytest.fixture(autouse=True)
def boats(hubspot: FakeHubSpot) -> None:
    hubspot.types = {"p_boat": "2-9", "p7_boat": "2-9", "p_bus": "2-1"}


@pytest.mark.parametrize("path", [PATH, PATH.replace("deals", "DEAL"), PATH.replace("deals/contacts", "0-3/0-1")])
def test_hubspots_own_types_are_compared_without_asking(functions: Deployment, hubspot: FakeHubSpot, path: str) -> None:
    assert as_guest("POST", path)[0] == 201
    assert hubspot.types_asked == []


@pytest.mark.parametrize(
    ("name", "asked"),
    [("p_boat", ["p_boat"]), ("p7_boat", ["p7_boat", "p_boat"]), ("2-9", ["p_boat"])],
)
def test_given_a_custom_type_when_it_is_first_used_hubspot_is_asked_for_what_must_be_compared_and_not_again(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock, name: str, asked: list[str]
) -> None:
    path = PATH.replace("contacts", name)

    for _ in range(2):
        assert as_guest("POST", path)[0] == 201
        clock.advance(1)
    production.object_types.cache_clear()  # another environment
    assert as_guest("POST", path)[0] == 201

    assert hubspot.types_asked == asked


def test_another_custom_type_is_403_as_soon_as_it_is_compared(functions: Deployment, hubspot: FakeHubSpot) -> None:
    status, body, _ = as_guest("POST", PATH.replace("contacts", "p_bus"))

    assert (status, body["category"]) == (403, "FORBIDDEN")
    assert body["message"] == "the client guest may not use the object type p_bus"
    assert hubspot.created == []


@pytest.mark.parametrize("failure", [failed(404), failed(400), failed(401), failed(403), failed(429), failed(503)])
def test_a_type_of_which_hubspot_does_not_tell_the_id_is_403(
    functions: Deployment, hubspot: FakeHubSpot, failure: Any
) -> None:
    hubspot.types["p_boat"] = failure

    status, body, _ = as_guest("POST", BOATS)

    assert (status, body["category"]) == (403, "FORBIDDEN")
    assert "the object type p_boat cannot be compared" in body["message"]
    assert "until HubSpot has told its id" in body["message"]
    assert hubspot.created == []


def test_a_client_of_all_types_needs_no_id(functions: Deployment, hubspot: FakeHubSpot) -> None:
    hubspot.types["p_boat"] = failed(503)

    status, _, headers = call(api_event("POST", BOATS, body=BODY))

    # It is not refused: only the run needs the id, to know the pair, and waits for it.
    assert (status, headers["Outcome-Status"]) == (202, "DEFERRED")
    assert hubspot.created == []


def test_a_request_of_any_client_is_for_the_pair_that_hubspot_tells(
    functions: Deployment, hubspot: FakeHubSpot
) -> None:
    status, _, headers = call(api_event("POST", BOATS, body=BODY))

    assert status == 201
    assert hubspot.types_asked == ["p_boat"]
    item = functions.dynamodb.get_item(TableName=functions.table, Key={"id": {"S": headers["Outcome-Id"]}})["Item"]
    assert item["pairKey"] == {"S": "default#0-3#2-9"}


def test_an_outcome_is_shown_once_its_types_are_known_and_reading_asks_nobody(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock
) -> None:
    _, _, headers = call(api_event("POST", PATH.replace("contacts", "p7_boat"), body=BODY))
    where, boats = headers["Location"], {"from": "deals", "to": "p_boat"}

    assert as_guest("GET", where)[0] == 404
    assert as_guest("GET", "/outcomes")[1] == {"results": []}
    assert as_guest("GET", "/outcomes", **boats)[0] == 403
    assert hubspot.types_asked == ["p7_boat"]  # by the run

    clock.advance(1)
    assert as_guest("POST", PATH.replace("contacts", "p7_boat"))[0] == 201

    assert as_guest("GET", where)[0] == 200
    assert len(as_guest("GET", "/outcomes")[1]["results"]) == 2
    assert as_guest("GET", "/outcomes", **boats)[0] == 200


def test_what_asking_took_is_no_longer_there_to_run_the_request(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = hubspot.object_type
    left: list[float] = []

    def slow(token: str, api_version: str, name: str, seconds: float) -> str:
        clock.advance(1)
        return ask(token, api_version, name, seconds)

    def watched(requests: Sequence[Request], seconds: float, deps: Any) -> list[Claim]:
        left.append(seconds)
        return run(requests, seconds, deps)

    monkeypatch.setattr(hubspot, "object_type", slow)
    monkeypatch.setattr(webhook, "run", watched)

    assert [as_guest("POST", BOATS)[0] for _ in range(2)] == [201, 201]
    assert left == [webhook.LONGEST_RUN - 1, webhook.LONGEST_RUN]


def known(portal: str, name: str) -> str | None:
    return object_type_id(name) or {("acme", "p_car"): "2-456"}.get((portal, name))


@pytest.mark.parametrize(
    ("asked", "pair"),
    [
        ({}, None),
        ({"from": "Deal", "to": "contacts"}, ("0-3", "0-1")),
        ({"from": "p_car", "to": "2-7"}, ("2-456", "2-7")),
        ({"from": "p_van", "to": "deals"}, ("p_van", "0-3")),
    ],
)
def test_outcomes_are_looked_for_by_the_ids_of_a_pair_as_far_as_they_are_known(
    asked: dict[str, str], pair: tuple[str, str] | None
) -> None:
    query = {name: [value] for name, value in {"portal": "acme", **asked}.items()}

    assert permitted_filter(query, Client("crm", ["*"]), known).pair == pair


def test_a_filter_is_for_what_the_client_may_use() -> None:
    client, deals = Client("crm", ["acme"], ["deals"]), {"from": ["0-3"], "to": ["Deal"]}

    assert permitted_filter({"portal": ["acme"], **deals}, client, known).pair == ("0-3", "0-3")
    with pytest.raises(Forbidden, match="portal default"):
        permitted_filter(deals, client, known)
    with pytest.raises(Forbidden, match="object type p_car"):
        permitted_filter({"portal": ["acme"], "from": ["p_car"], "to": ["deals"]}, client, known)
