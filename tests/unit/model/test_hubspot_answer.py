"""An answer of HubSpot's is read as far as it can be."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.hubspot_answer import json_object


@pytest.mark.parametrize(
    "body",
    [
        None,
        "",
        "<html>",
        "[]",
        "5",
        '{"a": NaN}',
        '{"a": "\\ud800"}',
        '{"a": ' + "[" * 300 + "]" * 300 + "}",
        "[" * 100_000,
    ],
)
def test_what_is_no_object_of_json_or_could_not_be_written_again_is_none(body: str | None) -> None:
    assert json_object(body) is None


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none()))
def test_an_object_is_read_as_it_was_written(body: dict[str, object]) -> None:
    assert json_object(json.dumps(body)) == body
    assert json_object(json.dumps(body, ensure_ascii=False)) == body
