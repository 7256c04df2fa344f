"""One answer in HubSpot's shape, out of several or out of what became of the inputs."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.response import answer
from hubspot_api.merged_answer import decides, merged
from model.contract import Category
from model.hubspot_answer import batch_answer
from model.outcomes import HubSpotResponse, InputOutcome, Outcome, Result, Status, Trigger
from tests.fuzz.inputs import ANSWER, nearly
from tests.support.fakes import START


def said(status: int, body: object, correlation_id: str = "c") -> HubSpotResponse:
    text = body if isinstance(body, str) else json.dumps(body)
    return HubSpotResponse(http_status=status, status="COMPLETE", correlation_id=correlation_id, body=text)


def test_one_answer_is_kept_word_for_word() -> None:
    only = said(201, '{ "status" : "COMPLETE" }')

    assert merged([only]) is only
    assert merged([]) is None


def test_several_answers_are_joined_in_their_order() -> None:
    whole = merged(
        [
            said(201, {"status": "COMPLETE", "startedAt": "1", "completedAt": "2", "results": [{"typeId": 1}]}),
            said(201, {"status": "COMPLETE", "startedAt": "3", "completedAt": "4", "results": [{"typeId": 2}], "x": 1}),
        ]
    )

    assert whole is not None
    assert whole.http_status == 201
    assert json.loads(whole.body or "") == {
        "status": "COMPLETE",
        "startedAt": "1",
        "completedAt": "4",
        "results": [{"typeId": 1}, {"typeId": 2}],
        "x": 1,
    }


def test_a_refused_call_becomes_one_of_the_errors_of_a_207() -> None:
    refusal = {"status": "error", "message": "bad", "correlationId": "c-2", "category": "VALIDATION_ERROR"}

    whole = merged(
        [said(201, {"status": "COMPLETE", "results": [{"typeId": 1}]}), said(400, refusal), said(400, "<p>")]
    )

    assert whole is not None
    assert whole.http_status == 207
    body = json.loads(whole.body or "")
    assert body["errors"] == [refusal, {"message": "<p>", "status": "error"}]
    assert body["numErrors"] == 2


def test_where_every_call_was_refused_the_last_refusal_stands() -> None:
    assert merged([said(400, {"message": "one"}), said(400, {"message": "two"})]) == said(400, {"message": "two"})


@pytest.mark.parametrize("name", ["results", "errors"])
@pytest.mark.parametrize("odd", [5, True, "x", {"a": 1}, None])
def test_what_is_no_list_of_an_answer_has_no_part_in_the_whole(name: str, odd: object) -> None:
    whole = merged([said(200, ANSWER), said(200, {**ANSWER, name: odd})])

    assert whole is not None
    assert json.loads(whole.body or "")[name] == ANSWER[name]


def outcome_of(
    *inputs: InputOutcome, status: Status = Status.PARTIAL, hubspot: HubSpotResponse | None = None
) -> Outcome:
    return Outcome(
        id="o",
        portal="default",
        status=status,
        trigger=Trigger.WEBHOOK,
        requested_at=START,
        inputs=inputs,
        hubspot=hubspot,
    )


def item(type_id: int, result: Result, **rest: Any) -> InputOutcome:
    return InputOutcome(category=Category.HUBSPOT_DEFINED, type_id=type_id, max_to_object_ids=5, result=result, **rest)


@given(st.lists(nearly(ANSWER), min_size=1, max_size=3))
def test_no_answer_of_hubspots_is_too_odd_to_be_joined(bodies: list[object]) -> None:
    whole = merged([said(200, body) for body in bodies])

    assert whole is not None
    assert decides(whole)
    assert len(bodies) == 1 or isinstance(json.loads(whole.body or ""), dict)


def test_hubspots_words_are_the_answer_where_they_are_about_this_outcome_alone() -> None:
    words = replace(said(201, ANSWER), verbatim=True)

    assert answer(outcome_of(item(3, Result.APPLIED), hubspot=words)) == (201, words.body)


def test_hubspots_words_are_not_the_answer_where_they_are_about_others_too() -> None:
    status, body = answer(outcome_of(item(3, Result.APPLIED), hubspot=said(207, ANSWER)))

    assert status == 200
    assert isinstance(body, dict)
    assert [row["typeId"] for row in body["results"]] == [3]
    assert "errors" not in body


def test_a_request_refused_whole_is_answered_with_its_own_message_under_hubspots_status() -> None:
    refused = item(3, Result.REJECTED, message="typeId 3 is bad")

    status, body = answer(outcome_of(refused, status=Status.REJECTED, hubspot=said(400, "<p>")))

    assert isinstance(body, dict)
    assert (status, body["message"], body["correlationId"]) == (400, "typeId 3 is bad", "c")


def test_what_became_of_the_inputs_can_be_said_in_hubspots_shape() -> None:
    outcome = outcome_of(
        item(1, Result.APPLIED),
        item(2, Result.UNCHANGED),
        item(3, Result.REJECTED, message="bad"),
        item(4, Result.SUPERSEDED, superseded_by="o-2"),
    )

    status, body = answer(outcome)

    assert status == 207
    assert isinstance(body, dict)
    told = batch_answer(body)
    assert [(row.type_id, row.user_enforced_max_to_object_ids) for row in told.results] == [(1, 5), (2, 5)]
    assert [error.message for error in told.errors] == ["bad", "superseded by outcome o-2"]
    assert told.num_errors == 2
