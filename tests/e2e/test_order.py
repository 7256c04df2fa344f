"""The youngest request wins, by whichever way and under whichever names of the object types it comes."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.e2e.deployed import LocalStack

DONE = {"APPLIED", "SUPERSEDED"}
SPELLINGS = [("products", "companies"), ("Product", "company"), ("0-7", "0-2"), ("PRODUCTS", "0-2")]
CALLERS = 20


def limit(number: int) -> dict[str, Any]:
    return {"category": "USER_DEFINED", "typeId": 77, "maxToObjectIds": number}


def make_known(local: LocalStack) -> None:
    """A type of its own between products and companies, where no other test sets a limit."""
    known = {"category": "USER_DEFINED", "typeId": 77, "label": "order"}
    local.standin("POST", "types", {"fromObjectType": "products", "toObjectType": "companies", **known})


def age(outcome: dict[str, Any]) -> tuple[str, str]:
    return outcome["requestedAt"], outcome["id"]


def test_the_youngest_of_four_spellings_by_http_and_queue_wins_and_all_are_listed_together(local: LocalStack) -> None:
    make_known(local)
    sent = []
    for number, (from_type, to_type) in enumerate(SPELLINGS, 10):
        if number % 2:
            answer = local.create(from_type, to_type, limit(number), Prefer="respond-async")
            sent.append(answer.headers["Outcome-Id"])
        else:
            sent.append(local.send({"fromObjectType": from_type, "toObjectType": to_type, "inputs": [limit(number)]}))
    by_http = local.create("products", "COMPANIES", limit(30))
    sent.append(by_http.headers["Outcome-Id"])

    outcomes = [local.final(outcome_id) for outcome_id in sent]

    youngest = max(outcomes, key=age)
    assert {item["result"] for outcome in outcomes for item in outcome["inputs"]} <= DONE
    assert youngest["inputs"][0]["result"] == "APPLIED"
    assert local.limits("0-7", "0-2") == {("USER_DEFINED", 77): youngest["inputs"][0]["maxToObjectIds"]}
    assert youngest["id"] == sent[-1]
    listed = local.call("GET", "/outcomes", params={"from": "pRODUCT", "to": "0-2", "limit": len(sent)}).json()
    assert {outcome["id"] for outcome in listed["results"]} == set(sent)
    assert {outcome["fromObjectType"] for outcome in listed["results"]} == {spelt for spelt, _ in SPELLINGS}
    local.drained()


def test_twenty_callers_of_one_pair_at_once_all_get_a_final_answer(local: LocalStack) -> None:
    make_known(local)
    local.standin("DELETE", "journal")

    def ask(number: int) -> tuple[int, str, str]:
        from_type, to_type = SPELLINGS[number % len(SPELLINGS)]
        answer = local.create(from_type, to_type, limit(100 + number))
        return answer.status_code, answer.headers["Outcome-Id"], answer.text

    with ThreadPoolExecutor(CALLERS) as pool:
        answers = list(pool.map(ask, range(CALLERS)))

    outcomes = [local.outcome(outcome_id) for _, outcome_id, _ in answers]
    told = [outcome["inputs"][0]["result"] for outcome in outcomes if outcome]
    youngest = max((outcome for outcome in outcomes if outcome), key=age)
    assert len(told) == CALLERS
    assert set(told) <= DONE
    for (status, _, text), result in zip(answers, told, strict=True):
        assert status in ({200, 201} if result == "APPLIED" else {207}), text
        assert [error["category"] for error in json.loads(text).get("errors", [])] == (
            [] if result == "APPLIED" else ["SUPERSEDED"]
        )
    assert local.limits("0-7", "0-2") == {("USER_DEFINED", 77): youngest["inputs"][0]["maxToObjectIds"]}
    assert local.calls().count("create") <= CALLERS
