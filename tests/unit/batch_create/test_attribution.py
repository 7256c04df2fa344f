"""Who was applied, who was refused and who cannot be told, from an answer whose errors carry no index."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_create.attribution import attribute, refused
from model.contract import Category, LimitInput
from model.errors import Refused
from model.hubspot_answer import BatchAnswer, batch_answer
from model.outcomes import Result
from tests.support.fakes import echo

limits = st.lists(
    st.builds(
        lambda category, type_id, number: LimitInput(category=category, type_id=type_id, max_to_object_ids=number),
        st.sampled_from(Category),
        st.integers(1, 400),
        st.integers(1, 50),
    ),
    min_size=1,
    max_size=12,
    unique_by=lambda item: item.key,
)


def limit(type_id: int, number: int = 5, category: str = "HUBSPOT_DEFINED") -> LimitInput:
    return LimitInput(category=Category(category), type_id=type_id, max_to_object_ids=number)


def said(results: list[dict[str, Any]], *errors: Any, status: str | None = "COMPLETE", **rest: Any) -> BatchAnswer:
    value = {"status": status, "results": results, **rest}
    return batch_answer({**value, "errors": list(errors)} if errors else value)


@given(limits, st.data())
def test_every_input_has_one_fate_and_only_echoed_numbers_are_applied(asked: list[LimitInput], data: Any) -> None:
    shown = {
        item.key: data.draw(st.sampled_from(["same", "other", "null", "absent"]), label=str(item.key)) for item in asked
    }
    rows = []
    for item in asked:
        row = echo(item)
        if shown[item.key] == "other":
            row["userEnforcedMaxToObjectIds"] = item.max_to_object_ids + 1
        if shown[item.key] == "null":
            row["userEnforcedMaxToObjectIds"] = None
        if shown[item.key] != "absent":
            rows.append(row)
    errors = data.draw(st.lists(st.builds(lambda text: {"message": text}, st.text(max_size=30)), max_size=3))

    attributions = attribute(asked, said(rows, *errors))

    assert set(attributions) == {item.key for item in asked}
    assert {k for k, attribution in attributions.items() if attribution.result is Result.APPLIED} == {
        k for k, how in shown.items() if how == "same"
    }
    assert all(attributions[k].result is not Result.REJECTED for k, how in shown.items() if how != "absent")


@given(limits, st.sampled_from(["PENDING", "PROCESSING", "CANCELED", "NEW_STATUS", None]))
def test_an_answer_that_is_not_complete_proves_nothing(asked: list[LimitInput], status: str | None) -> None:
    attributions = attribute(asked, said([echo(item) for item in asked], status=status))

    assert {attribution.result for attribution in attributions.values()} == {Result.UNCONFIRMED}


@given(limits, st.integers(0, 3))
def test_each_refused_input_gets_the_error_that_names_it(asked: list[LimitInput], kept: int) -> None:
    refused = asked[kept:]
    errors = [
        {
            "message": f"limit of type {item.type_id} refused",
            "context": {"category": [item.category.value], "typeId": [str(item.type_id)]},
        }
        for item in refused
    ]

    attributions = attribute(asked, said([echo(item) for item in asked[:kept]], *errors))

    for item in refused:
        attribution = attributions[item.key]
        assert attribution.result is Result.REJECTED
        assert attribution.message == f"limit of type {item.type_id} refused"


def test_complete_without_echo_and_without_error_is_unconfirmed() -> None:
    assert attribute([limit(3)], said([]))["HUBSPOT_DEFINED", 3].result is Result.UNCONFIRMED


def test_errors_that_are_only_counted_are_refusals_all_the_same() -> None:
    attribution = attribute([limit(3)], said([], numErrors=1))["HUBSPOT_DEFINED", 3]

    assert attribution.result is Result.REJECTED
    assert attribution.message


def test_an_input_that_no_error_speaks_of_is_not_refused_for_another() -> None:
    attributions = attribute([limit(3), limit(4)], said([], {"message": "type 3 is bad"}))

    assert attributions["HUBSPOT_DEFINED", 3].result is Result.REJECTED
    assert attributions["HUBSPOT_DEFINED", 4].result is Result.UNCONFIRMED


def test_an_error_that_names_nobody_is_everybodys() -> None:
    attributions = attribute([limit(3), limit(4)], said([], {"message": "limits need a higher tier"}))

    assert [attribution.message for attribution in attributions.values()] == ["limits need a higher tier"] * 2


@pytest.mark.parametrize("text", ["type 13 is bad", "v3 of the API", "3.5 is no number", "2026-3", "x-3"])
def test_a_number_inside_another_word_names_nobody(text: str) -> None:
    attributions = attribute([limit(3), limit(13)], said([], {"message": text}, {"message": "type 3 is bad"}))

    assert attributions["HUBSPOT_DEFINED", 3].message == "type 3 is bad"


def test_the_category_tells_two_inputs_with_one_type_id_apart() -> None:
    asked = [limit(3), limit(3, category="USER_DEFINED")]
    errors = [{"message": "USER_DEFINED 3 is bad"}, {"message": "HUBSPOT_DEFINED 3 is worse"}]

    attributions = attribute(asked, said([], *errors))

    assert attributions["USER_DEFINED", 3].message == "USER_DEFINED 3 is bad"
    assert attributions["HUBSPOT_DEFINED", 3].message == "HUBSPOT_DEFINED 3 is worse"


def test_a_message_may_stand_in_the_errors_inner_errors() -> None:
    attribution = attribute([limit(3)], said([], {"errors": [{"message": "inner", "context": "{typeId=[3]}"}]}))

    assert attribution["HUBSPOT_DEFINED", 3].message == "inner"


@pytest.mark.parametrize(
    "error",
    [
        {"message": "a limit for typeId 3 already exists"},
        {"message": "Limit exists for this pair."},
        {"message": "typeId 3 is refused", "category": "OBJECT_ALREADY_EXISTS"},
        {"message": "typeId 3 is refused", "category": "CONFLICT"},
        {"message": "typeId 3 is refused", "subCategory": "ASSOCIATION_LIMITS.ALREADY_SET"},
        {"message": "typeId 3 is refused", "errors": [{"message": "no", "code": "LIMIT_EXISTS"}]},
        {"errors": [{"message": "Duplicate definition"}]},
    ],
)
def test_a_refusal_that_may_be_about_what_exists_is_told_by_any_of_its_words(error: dict[str, Any]) -> None:
    assert attribute([limit(3)], said([], error))["HUBSPOT_DEFINED", 3].exists
    assert refused(Refused("words", http_status=400, body=json.dumps(error))).exists


@pytest.mark.parametrize(
    "error",
    [
        {"message": "typeId 3 does not exist"},
        {"message": "the limit is too high"},
        {"message": "no existing scope"},
    ],
)
def test_other_refusals_are_not_about_what_exists(error: dict[str, Any]) -> None:
    assert not attribute([limit(3)], said([], error, {"message": "any"}))["HUBSPOT_DEFINED", 3].exists
    assert not refused(Refused("words", http_status=400, body=json.dumps(error))).exists


@pytest.mark.parametrize("body", [None, "", "<html>", "[]", '{"message": 5}', '{"message": "a limit for ty'])
def test_a_refusal_whose_body_cannot_be_read_is_one_all_the_same_and_may_be_about_what_exists(body: str | None) -> None:
    attribution = refused(Refused("HubSpot answered 400", http_status=400, body=body, correlation_id="c-1"))

    assert (attribution.result, attribution.message, attribution.correlation_id) == (
        Result.REJECTED,
        "HubSpot answered 400",
        "c-1",
    )
    assert attribution.exists


def test_what_a_refusal_says_in_detail_is_kept_too() -> None:
    errors = [{"message": "words"}, {"message": "typeId 3 is bad", "in": "inputs[0]"}, {"code": "X"}]
    body = json.dumps({"message": "words", "errors": errors})

    assert refused(Refused("words", http_status=400, body=body)).message == "words typeId 3 is bad"


@pytest.mark.parametrize(("number", "echoed"), [(7, 7), (None, None)])
def test_another_number_that_is_echoed_is_kept_to_be_compared_with_what_is_there(
    number: int | None, echoed: int | None
) -> None:
    row = {**echo(limit(3)), "userEnforcedMaxToObjectIds": number}

    attribution = attribute([limit(3)], said([row]))["HUBSPOT_DEFINED", 3]

    assert (attribution.result, attribution.echoed) == (Result.UNCONFIRMED, echoed)
