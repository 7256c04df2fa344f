"""Who was applied, who was refused and who cannot be told, from an answer whose errors carry no index."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_create.attribution import attribute
from batch_create.contract import BatchAnswer, Category, LimitInput
from batch_create.outcomes import Result
from tests.support.fakes import echo

limits = st.lists(
    st.builds(
        lambda category, type_id, number: LimitInput(category=category, typeId=type_id, maxToObjectIds=number),
        st.sampled_from(Category),
        st.integers(1, 400),
        st.integers(1, 50),
    ),
    min_size=1,
    max_size=12,
    unique_by=lambda item: item.key,
)


def limit(type_id: int, number: int = 5, category: str = "HUBSPOT_DEFINED") -> LimitInput:
    return LimitInput(category=Category(category), typeId=type_id, maxToObjectIds=number)


def said(results: list[dict[str, Any]], *errors: Any, status: str | None = "COMPLETE", **rest: Any) -> BatchAnswer:
    value = {"status": status, "results": results, **rest}
    return BatchAnswer.model_validate({**value, "errors": list(errors)} if errors else value)


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

    fates = attribute(asked, said(rows, *errors))

    assert set(fates) == {item.key for item in asked}
    assert {k for k, fate in fates.items() if fate.result is Result.APPLIED} == {
        k for k, how in shown.items() if how == "same"
    }
    assert all(fates[k].result is not Result.REJECTED for k, how in shown.items() if how != "absent")


@given(limits, st.sampled_from(["PENDING", "PROCESSING", "CANCELED", "NEW_STATUS", None]))
def test_an_answer_that_is_not_complete_proves_nothing(asked: list[LimitInput], status: str | None) -> None:
    fates = attribute(asked, said([echo(item) for item in asked], status=status))

    assert {fate.result for fate in fates.values()} == {Result.UNCONFIRMED}


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

    fates = attribute(asked, said([echo(item) for item in asked[:kept]], *errors))

    for item in refused:
        fate = fates[item.key]
        assert fate.result is Result.REJECTED
        assert fate.message == f"limit of type {item.type_id} refused"


def test_complete_without_echo_and_without_error_is_unconfirmed() -> None:
    assert attribute([limit(3)], said([]))["HUBSPOT_DEFINED", 3].result is Result.UNCONFIRMED


def test_errors_that_are_only_counted_are_refusals_all_the_same() -> None:
    fate = attribute([limit(3)], said([], numErrors=1))["HUBSPOT_DEFINED", 3]

    assert fate.result is Result.REJECTED
    assert fate.message


def test_an_input_that_no_error_speaks_of_is_not_refused_for_another() -> None:
    fates = attribute([limit(3), limit(4)], said([], {"message": "type 3 is bad"}))

    assert fates["HUBSPOT_DEFINED", 3].result is Result.REJECTED
    assert fates["HUBSPOT_DEFINED", 4].result is Result.UNCONFIRMED


def test_an_error_that_names_nobody_is_everybodys() -> None:
    fates = attribute([limit(3), limit(4)], said([], {"message": "limits need a higher tier"}))

    assert [fate.message for fate in fates.values()] == ["limits need a higher tier"] * 2


@pytest.mark.parametrize("text", ["type 13 is bad", "v3 of the API", "3.5 is no number", "2026-3", "x-3"])
def test_a_number_inside_another_word_names_nobody(text: str) -> None:
    fates = attribute([limit(3), limit(13)], said([], {"message": text}, {"message": "type 3 is bad"}))

    assert fates["HUBSPOT_DEFINED", 3].message == "type 3 is bad"


def test_the_category_tells_two_inputs_with_one_type_id_apart() -> None:
    asked = [limit(3), limit(3, category="USER_DEFINED")]
    errors = [{"message": "USER_DEFINED 3 is bad"}, {"message": "HUBSPOT_DEFINED 3 is worse"}]

    fates = attribute(asked, said([], *errors))

    assert fates["USER_DEFINED", 3].message == "USER_DEFINED 3 is bad"
    assert fates["HUBSPOT_DEFINED", 3].message == "HUBSPOT_DEFINED 3 is worse"


def test_a_message_may_stand_in_the_errors_inner_errors() -> None:
    fate = attribute([limit(3)], said([], {"errors": [{"message": "inner", "context": "{typeId=[3]}"}]}))

    assert fate["HUBSPOT_DEFINED", 3].message == "inner"
