"""One answer in HubSpot's shape, out of several or out of what became of the inputs."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_create.merged_answer import answers_for, in_hubspots_words, merged, without_errors
from model.contract import Category
from model.hubspot_answer import BatchAnswer, EchoedLimit
from model.outcomes import HubSpotResponse, InputOutcome, Outcome, Result, Status, Trigger
from tests.fuzz.inputs import ANSWER, nearly
from tests.support.fakes import START


def said(status: int, body: object, correlation_id: str = "c") -> HubSpotResponse:
    text = body if isinstance(body, str) else json.dumps(body)
    return HubSpotResponse(http_status=status, status="COMPLETE", correlation_id=correlation_id, body=text)


def _row(row: object) -> EchoedLimit:
    return EchoedLimit.model_validate(row if isinstance(row, dict) else {})


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


def _of_one_input(result: Result, hubspot: HubSpotResponse | None) -> Outcome:
    item = InputOutcome(category=Category.HUBSPOT_DEFINED, type_id=3, max_to_object_ids=5, result=result)
    return Outcome(
        id="o",
        portal="default",
        status=Status.COMPLETE,
        trigger=Trigger.WEBHOOK,
        requested_at=START,
        inputs=(item,),
        hubspot=hubspot,
    )


@given(st.lists(nearly(ANSWER), min_size=1, max_size=3), st.sampled_from([Result.APPLIED, Result.UNCHANGED]))
def test_no_answer_of_hubspots_is_too_odd_to_be_told(bodies: list[object], result: Result) -> None:
    whole = merged([without_errors(said(200, body), ["typeId 3 is bad"]) for body in bodies])

    told = answers_for(_of_one_input(result, whole))

    if told and result is Result.APPLIED:
        rows = json.loads(whole.body or "")["results"] if whole else []
        assert (3, 5) in [(row.type_id, row.user_enforced_max_to_object_ids) for row in map(_row, rows)]


def test_an_answer_whose_rows_are_of_other_types_does_not_answer_for_an_outcome() -> None:
    odd = {"category": [], "typeId": {}, "userEnforcedMaxToObjectIds": 5}

    assert not answers_for(_of_one_input(Result.APPLIED, said(200, {"status": "COMPLETE", "results": [odd]})))


def test_what_became_of_the_inputs_can_be_said_in_hubspots_shape() -> None:
    def item(type_id: int, result: Result, **rest: str) -> InputOutcome:
        return InputOutcome(
            category=Category.HUBSPOT_DEFINED, type_id=type_id, max_to_object_ids=5, result=result, **rest
        )

    outcome = Outcome(
        id="o",
        portal="default",
        status=Status.PARTIAL,
        trigger=Trigger.WEBHOOK,
        requested_at=START,
        inputs=(
            item(1, Result.APPLIED),
            item(2, Result.UNCHANGED),
            item(3, Result.REJECTED, message="bad"),
            item(4, Result.SUPERSEDED, superseded_by="o-2"),
        ),
    )

    status, body = in_hubspots_words(outcome)

    assert status == 207
    answer = BatchAnswer.model_validate(body)
    assert [(row.type_id, row.user_enforced_max_to_object_ids) for row in answer.results] == [(1, 5), (2, 5)]
    assert [error.message for error in answer.errors or []] == ["bad", "superseded by outcome o-2"]
    assert answer.num_errors == 2
