"""One answer in HubSpot's shape, out of several or out of what became of the inputs."""

from __future__ import annotations

import json

from batch_create.answers import in_hubspots_words, merged
from batch_create.contract import BatchAnswer, Category
from batch_create.outcomes import HubSpotSaid, InputOutcome, Outcome, Result, Status, Trigger
from tests.support.fakes import START


def said(status: int, body: object, correlation_id: str = "c") -> HubSpotSaid:
    text = body if isinstance(body, str) else json.dumps(body)
    return HubSpotSaid(http_status=status, status="COMPLETE", correlation_id=correlation_id, body=text)


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
