"""Outcomes are listed by filters and in pages, and a filter that is wrong is explained."""

from __future__ import annotations

import pytest

from tests.support.aws import Deployment
from tests.support.events import api_event
from tests.support.webhook import BODY, PATH, call, get


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


@pytest.mark.parametrize("pair", ["deals/contacts", "DEAL/0-1", "0-3/Contacts"])
def test_outcomes_of_a_pair_are_listed_however_it_is_spelt(functions: Deployment, pair: str) -> None:
    outcome_id = call(api_event("POST", PATH.replace("deals/contacts", pair), body=BODY))[2]["Outcome-Id"]

    for from_type, to_type in (("deals", "contacts"), ("0-3", "0-1"), ("Deal", "contact")):
        found = get("/outcomes", **{"from": from_type, "to": to_type})[1]["results"]
        assert [outcome["id"] for outcome in found] == [outcome_id]


def test_what_waits_in_the_queue_is_listed_by_its_pair_also_before_hubspot_has_told_its_types(
    functions: Deployment,
) -> None:
    event = api_event("POST", PATH.replace("contacts", "p_boat"), body=BODY, Prefer="respond-async")
    outcome_id = call(event)[2]["Outcome-Id"]

    found = get("/outcomes", **{"from": "deals", "to": "p_boat"})[1]["results"]

    assert [outcome["id"] for outcome in found] == [outcome_id]


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


@pytest.mark.parametrize("outcome_id", ["%20", "a" * 2049, "é", "'"])
def test_what_cannot_be_an_id_is_no_outcome(functions: Deployment, outcome_id: str) -> None:
    assert get(f"/outcomes/{outcome_id}")[0] == 404
