"""What we accept is strict, what we receive is lenient."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from model.contract import INT32_MAX, Category, ContractError, Problem
from model.hubspot_answer import AnswerStatus, EchoedLimit, batch_answer, error_body
from model.validation import parse_batch, parse_envelope, parse_json

INPUTS = [{"category": "HUBSPOT_DEFINED", "typeId": 3, "maxToObjectIds": 5}]
PRINTABLE = st.characters(exclude_categories=["Cc", "Cs"])
int32 = st.integers(1, INT32_MAX)
inputs = st.builds(
    lambda category, type_id, number: {"category": category.value, "typeId": type_id, "maxToObjectIds": number},
    st.sampled_from(Category),
    int32,
    int32,
)
object_types = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", fullmatch=True)
envelopes: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "fromObjectType": object_types,
        "toObjectType": object_types,
        "inputs": st.lists(inputs, min_size=1, max_size=20, unique_by=lambda i: (i["category"], i["typeId"])),
    },
    optional={
        "portal": st.sampled_from(["acme", "default"]),
        "idempotencyKey": st.text(PRINTABLE, min_size=1, max_size=255),
        "requestedBy": st.text(PRINTABLE, max_size=256),
    },
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=12,
)
A_LIMIT = {"category": "HUBSPOT_DEFINED", "typeId": 3, "maxToObjectIds": 5}


def an_envelope(**changes: Any) -> dict[str, Any]:
    return {"fromObjectType": "deals", "toObjectType": "contacts", "inputs": [A_LIMIT], **changes}


def fields_at_fault(value: object) -> set[str]:
    with pytest.raises(ContractError) as caught:
        parse_envelope(value)
    return {problem.field for problem in caught.value.problems}


@given(envelopes)
def test_a_valid_envelope_survives_the_way_to_json_and_back(value: dict[str, Any]) -> None:
    envelope = parse_envelope(value)

    again = parse_envelope(parse_json(json.dumps(envelope.as_json())))

    assert again == envelope
    assert [item.as_json() for item in envelope.inputs] == value["inputs"]


@given(json_values)
def test_any_json_is_either_an_envelope_or_explained(value: object) -> None:
    problems: list[Problem] = []
    try:
        parse_envelope(value)
    except ContractError as error:
        problems = error.problems or pytest.fail("refused without a reason")
    assert all(problem.message for problem in problems)


def no_number(text: str) -> float:
    raise ValueError(f"{text} is none of JSON's")


@given(st.binary())
@example(b"NaN")
@example(b"\x000")  # a number in UTF-16, which Python's reader would take
def test_any_bytes_are_either_json_or_explained(text: bytes) -> None:
    assume(b"\\u" not in text)  # half a character, of which another test is
    try:
        expected = json.loads(text.decode(), parse_constant=no_number)
    except ValueError:
        with pytest.raises(ContractError, match="not valid JSON"):
            parse_json(text)
    else:
        assert parse_json(text) == expected


@pytest.mark.parametrize(
    "text", ['{"inputs": [], "inputs": []}', '{"inputs": [{"typeId": 3, "typeId": 4}]}', '[{"a": 1, "a": 1}]']
)
@pytest.mark.parametrize("encoded", [True, False])
def test_a_key_that_is_given_twice_is_no_json(text: str, encoded: bool) -> None:
    with pytest.raises(ContractError, match="not valid JSON"):
        parse_json(text.encode() if encoded else text)


@pytest.mark.parametrize(
    "text",
    [
        "NaN",
        "[Infinity]",
        "[" * 300 + "]" * 300,
        "[" * 100_000,
        "9" * 5_000,
        '"\\ud800"',
        '"\ud800"',
        '"\x01"',
        "\ufeff{}",
        "",
    ],
)
def test_what_readers_of_json_take_differently_or_not_at_all_is_refused(text: str) -> None:
    with pytest.raises(ContractError, match="not valid JSON"):
        parse_json(text)


@pytest.mark.parametrize("name", ["idempotencyKey", "requestedBy"])
@given(control=st.characters(categories=["Cc"]))
def test_free_text_holds_no_control_characters(name: str, control: str) -> None:
    value = {"fromObjectType": "deals", "toObjectType": "contacts", "inputs": INPUTS, name: f"a{control}"}

    with pytest.raises(ContractError) as refused:
        parse_envelope(value)

    assert refused.value.problems == [Problem(name, "must be text without control characters")]


@pytest.mark.parametrize("number", [0, -1, INT32_MAX + 1, 10**400, 5.0, 5.5, "5", True, None, [5]])
@pytest.mark.parametrize("field", ["typeId", "maxToObjectIds"])
def test_numbers_are_int32_from_one_and_nothing_that_looks_like_it(field: str, number: object) -> None:
    assert fields_at_fault(an_envelope(inputs=[{**A_LIMIT, field: number}])) == {f"inputs[0].{field}"}


@pytest.mark.parametrize(
    "name", ["", "a/b", "..", ".", "a.b", "a%2fb", "a b", "deals\n", "é", "-deals", "?", "#", "a" * 101, 3, None]
)
@pytest.mark.parametrize("end", ["fromObjectType", "toObjectType"])
def test_nothing_that_could_change_the_path_is_an_object_type(end: str, name: object) -> None:
    assert fields_at_fault(an_envelope(**{end: name})) == {end}


@pytest.mark.parametrize("name", ["contacts", "Contact", "0-1", "2-123456", "p12_car", "x"])
def test_names_and_ids_are_object_types(name: str) -> None:
    assert parse_envelope(an_envelope(fromObjectType=name)).from_object_type == name


@pytest.mark.parametrize("misspelt", ["maxToObjectId", "max_to_object_ids", "label"])
def test_a_misspelt_field_is_never_dropped(misspelt: str) -> None:
    assert fields_at_fault(an_envelope(inputs=[{**A_LIMIT, misspelt: 1}])) == {f"inputs[0].{misspelt}"}
    assert fields_at_fault(an_envelope(**{misspelt: 1})) == {misspelt}


def test_all_problems_are_told_together() -> None:
    wrong = an_envelope(
        portal="Acme", toObjectType="a/b", inputs=[{"category": "OURS", "typeId": 0, "maxToObjectIds": "5"}]
    )

    assert fields_at_fault(wrong) == {
        "portal",
        "toObjectType",
        "inputs[0].category",
        "inputs[0].typeId",
        "inputs[0].maxToObjectIds",
    }


def test_the_number_of_inputs_is_bounded() -> None:
    assert fields_at_fault(an_envelope(inputs=[])) == {"inputs"}
    many = [{**A_LIMIT, "typeId": n} for n in range(1, 502)]
    assert fields_at_fault(an_envelope(inputs=many)) == {"inputs"}
    assert len(parse_envelope(an_envelope(inputs=many[:500])).inputs) == 500


def test_two_numbers_for_one_limit_are_a_contradiction_and_the_same_number_twice_is_none() -> None:
    with pytest.raises(ContractError, match="both 5 and 6 for HUBSPOT_DEFINED type 3"):
        parse_envelope(an_envelope(inputs=[A_LIMIT, {**A_LIMIT, "maxToObjectIds": 6}]))
    assert len(parse_envelope(an_envelope(inputs=[A_LIMIT, A_LIMIT])).inputs) == 2


def test_the_same_type_id_under_two_categories_are_two_limits() -> None:
    other = {**A_LIMIT, "category": "USER_DEFINED", "maxToObjectIds": 1}
    assert len(parse_envelope(an_envelope(inputs=[A_LIMIT, other])).inputs) == 2


def test_a_body_may_not_speak_for_the_path() -> None:
    with pytest.raises(ContractError) as caught:
        parse_batch({"inputs": [A_LIMIT], "portal": "acme"}, from_object_type="deals", to_object_type="x")
    assert [problem.field for problem in caught.value.problems] == ["portal"]


@given(
    st.dictionaries(
        st.sampled_from(["status", "category", "message", "context", "errors", "links", "id", "subCategory", "new"]),
        json_values,
    )
)
def test_an_error_of_hubspots_is_always_read(error: dict[str, Any]) -> None:
    answer = batch_answer({"status": "COMPLETE", "results": [], "errors": [error]})

    assert len(answer.errors) == 1
    assert answer.status is AnswerStatus.COMPLETE


def test_unknown_fields_of_an_answer_are_no_hindrance() -> None:
    # They survive as HubSpot wrote them: the ledger keeps the body word for word.
    row = {"category": "HUBSPOT_DEFINED", "typeId": 3, "label": None, "userEnforcedMaxToObjectIds": 5, "colour": "red"}
    answer = batch_answer({"status": "COMPLETE", "results": [row], "page": {"next": 1}})

    assert answer.results == (EchoedLimit("HUBSPOT_DEFINED", 3, 5),)


@pytest.mark.parametrize(
    "context", [{"missingScopes": ["scope1", "scope2"]}, "{missingScopes=[scope1, scope2]}", ["unforeseen"], None]
)
def test_an_inner_context_may_be_a_map_or_a_text(context: object) -> None:
    body = error_body({"errors": [{"message": "no", "context": context, "in": "body", "code": "X"}]})

    (detail,) = body.errors
    assert detail.context == (context if isinstance(context, dict | str) else None)
    assert (detail.message, detail.code) == ("no", "X")
