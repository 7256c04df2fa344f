"""The stand-in's rules of limits, apart from HTTP."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.hubspot.answers import HubSpotError
from local.hubspot.catalogue import TypeKey
from local.hubspot.requests import RequestedLimit, TypeInput, parse_inputs
from local.hubspot.rules import Verdict, judge
from local.hubspot.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

OBJECT = TypeKey("HUBSPOT_DEFINED", 3)
LABEL = TypeKey("USER_DEFINED", 35)
SAME_NUMBER = TypeKey("USER_DEFINED", 3)
LABELS = {OBJECT: None, LABEL: "Decision maker", SAME_NUMBER: "Billing contact"}
UNKNOWN = TypeKey("INTEGRATOR_DEFINED", 3)


def limit(key: TypeKey, number: int) -> RequestedLimit:
    return RequestedLimit(key.category, key.type_id, number)


def without_limit(asked: RequestedLimit) -> TypeInput:
    return TypeInput(asked.category, asked.type_id)


def settings(**changes: Any) -> Settings:
    return Settings().changed(changes)


def created(
    inputs: Sequence[TypeInput], limits: dict[TypeKey, int] | None = None, **switches: Any
) -> tuple[list[Verdict], dict[TypeKey, int | None]]:
    return judge("create", inputs, LABELS, limits or {}, settings(**switches))


def accepted(verdicts: list[Verdict]) -> list[bool]:
    return [verdict.refusal is None for verdict in verdicts]


keys = st.sampled_from([OBJECT, LABEL, SAME_NUMBER, UNKNOWN])
limit_inputs = st.builds(limit, keys, st.integers(-2, 12))
batches = st.lists(limit_inputs, max_size=6)
switches = st.fixed_dictionaries(
    {
        "existingLimit": st.sampled_from(["overwrite", "refuse"]),
        "updateMissing": st.sampled_from(["create", "refuse"]),
        "badInput": st.sampled_from(["alone", "batch"]),
        "duplicateInput": st.sampled_from(["apply", "refuse"]),
        "labelEqualsObject": st.sampled_from(["allow", "refuse"]),
        "ceiling": st.integers(5, 12),
    }
)


@given(st.lists(st.tuples(st.sampled_from(["create", "update", "purge"]), batches), max_size=8), switches)
def test_no_sequence_of_batches_ever_brings_a_label_above_its_object_limit(
    sequence: list[tuple[Any, list[RequestedLimit]]], chosen: dict[str, object]
) -> None:
    rules, limits = settings(**chosen), dict[TypeKey, int]()
    for operation, inputs in sequence:
        asked = [without_limit(each) for each in inputs] if operation == "purge" else inputs
        _, changes = judge(operation, asked, LABELS, limits, rules)
        after = {**limits, **changes}
        limits = {key: number for key, number in after.items() if number is not None}

        labelled = [number for key, number in limits.items() if LABELS[key] is not None]
        room = limits.get(OBJECT, rules.ceiling + 1) - (rules.label_equals_object == "refuse")
        assert all(1 <= number <= rules.ceiling for number in limits.values())
        assert all(number <= room for number in labelled)


@given(batches, batches)
def test_one_batch_does_what_its_inputs_do_one_after_the_other(
    before: list[RequestedLimit], after: list[RequestedLimit]
) -> None:
    together, all_changes = created([*before, *after])

    first, first_changes = created(before)
    state = {key: number for key, number in first_changes.items() if number is not None}
    second, second_changes = created(after, state)

    assert together == [*first, *second]
    assert all_changes == {**first_changes, **second_changes}


@given(batches, switches)
def test_a_batch_changes_exactly_what_it_accepted_last(inputs: list[RequestedLimit], chosen: dict[str, Any]) -> None:
    verdicts, changes = created(inputs, **chosen)

    failed_whole = chosen["badInput"] == "batch" and not all(accepted(verdicts))
    expected = {v.asked.key: v.asked.limit for v in verdicts if v.refusal is None}
    assert changes == ({} if failed_whole else expected)


@pytest.mark.parametrize(("switch", "kept"), [("allow", [True, True]), ("refuse", [True, False])])
def test_a_label_equal_to_its_object_limit_is_as_the_switch_says(switch: str, kept: list[bool]) -> None:
    verdicts, _ = created([limit(OBJECT, 5), limit(LABEL, 5)], labelEqualsObject=switch)
    assert accepted(verdicts) == kept


def test_the_object_limit_may_not_go_below_a_label_that_is_set() -> None:
    verdicts, changes = created([limit(OBJECT, 4)], {OBJECT: 9, LABEL: 5})
    assert accepted(verdicts) == [False]
    assert changes == {}


def test_raising_both_works_object_first_and_lowering_both_label_first() -> None:
    raised, _ = created([limit(OBJECT, 9), limit(LABEL, 8)], {OBJECT: 5, LABEL: 4})
    raised_wrongly, _ = created([limit(LABEL, 8), limit(OBJECT, 9)], {OBJECT: 5, LABEL: 4})
    lowered, _ = created([limit(LABEL, 2), limit(OBJECT, 3)], {OBJECT: 5, LABEL: 4})
    lowered_wrongly, _ = created([limit(OBJECT, 3), limit(LABEL, 2)], {OBJECT: 5, LABEL: 4})

    assert accepted(raised) == accepted(lowered) == [True, True]
    assert accepted(raised_wrongly) == accepted(lowered_wrongly) == [False, True]


def test_a_type_number_is_another_type_in_another_category() -> None:
    verdicts, changes = created([limit(OBJECT, 5), limit(SAME_NUMBER, 2), limit(UNKNOWN, 2)])
    assert accepted(verdicts) == [True, True, False]
    assert changes == {OBJECT: 5, SAME_NUMBER: 2}


@pytest.mark.parametrize(("number", "kept"), [(-1, False), (0, False), (1, True), (10_000, True), (10_001, False)])
def test_a_limit_is_between_one_and_the_ceiling(number: int, kept: bool) -> None:
    verdicts, _ = created([limit(OBJECT, number)])
    assert accepted(verdicts) == [kept]


def test_zero_is_accepted_when_the_switch_lowers_the_minimum() -> None:
    verdicts, changes = created([limit(OBJECT, 0)], minimumLimit=0)
    assert accepted(verdicts) == [True]
    assert changes == {OBJECT: 0}


def test_an_existing_limit_and_a_repeated_type_are_refused_where_the_switches_say_so() -> None:
    existing, _ = created([limit(OBJECT, 5)], {OBJECT: 5}, existingLimit="refuse")
    repeated, _ = created([limit(OBJECT, 5), limit(OBJECT, 6)], duplicateInput="refuse")
    assert accepted(existing) == [False]
    assert accepted(repeated) == [True, False]


def test_an_update_makes_a_missing_limit_unless_the_switch_forbids_it() -> None:
    made, _ = judge("update", [limit(OBJECT, 5)], LABELS, {}, settings())
    refused, _ = judge("update", [limit(OBJECT, 5)], LABELS, {}, settings(updateMissing="refuse"))
    assert (accepted(made), accepted(refused)) == ([True], [False])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["inputs", "category", "typeId", "maxToObjectIds", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


def outcome_of(raw: bytes, kind: type[TypeInput]) -> Sequence[TypeInput] | HubSpotError:
    try:
        return parse_inputs(raw, kind)
    except HubSpotError as refusal:
        return refusal


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_read_or_refused_with_400(raw: bytes) -> None:
    for outcome in (outcome_of(raw, RequestedLimit), outcome_of(raw, TypeInput)):
        if isinstance(outcome, HubSpotError):
            assert outcome.status == 400
        else:
            assert all(-(2**31) <= asked.type_id < 2**31 for asked in outcome)


@pytest.mark.parametrize(
    ("raw", "fields"),
    [
        (b'{"inputs":[{"category":"WORK","typeId":"3"}]}', ["inputs[0].typeId", "inputs[0].maxToObjectIds"]),
        (
            b'{"inputs":[{"category":"OTHER","typeId":true,"maxToObjectIds":5.5}]}',
            ["inputs[0].category", "inputs[0].typeId", "inputs[0].maxToObjectIds"],
        ),
        (b'{"inputs":[{"category":"WORK","typeId":2147483648,"maxToObjectIds":1}]}', ["inputs[0].typeId"]),
        (b'{"inputs":{}}', ["inputs"]),
        (b"{}", ["inputs"]),
        (b"[]", ["body"]),
    ],
)
def test_a_body_of_the_wrong_shape_is_refused_naming_every_bad_field(raw: bytes, fields: list[str]) -> None:
    with pytest.raises(HubSpotError) as refusal:
        parse_inputs(raw, RequestedLimit)
    assert sorted(problem.field for problem in refusal.value.problems) == sorted(fields)


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"\xff", b'{"inputs":[NaN]}', b'{"inputs":' * 9999, b'{"inputs":"\\ud800"}']
)
def test_a_body_that_is_not_json_is_refused_with_400(raw: bytes) -> None:
    with pytest.raises(HubSpotError) as refusal:
        parse_inputs(raw, RequestedLimit)
    assert refusal.value.status == 400
    assert refusal.value.problems == ()
