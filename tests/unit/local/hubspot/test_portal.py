"""What an account of the stand-in knows and remembers."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from local.hubspot.catalogue import Pair, TypeKey, object_type_id
from local.hubspot.portal import Portal
from local.hubspot.settings import MAX_READ_LAG_SECONDS

OBJECT = TypeKey("HUBSPOT_DEFINED", 3)


@pytest.mark.parametrize("written", ["deal", "deals", "Deals", "DEAL", "0-3"])
def test_an_object_type_has_many_spellings(written: str) -> None:
    assert object_type_id(written) == "0-3"


@pytest.mark.parametrize("written", ["", "dealz", "0-4", "2-", "2-0", "2-٣", "2-1 ", "3-1"])
def test_other_spellings_are_no_object_type(written: str) -> None:
    assert object_type_id(written) is None


@example([(0, 5), (200, 6), (200, 7)], MAX_READ_LAG_SECONDS)
@given(
    st.lists(st.tuples(st.floats(0, 100), st.none() | st.integers(1, 9)), max_size=12),
    st.floats(0, MAX_READ_LAG_SECONDS),
)
def test_a_portal_remembers_each_limit_as_long_as_a_read_may_lag(
    steps: list[tuple[float, int | None]], lag: float
) -> None:
    portal, pair, moment = Portal(), Pair("0-3", "0-1"), 0.0
    history: list[tuple[float, int | None]] = []
    for seconds, number in steps:
        moment += seconds
        portal.commit(pair, {OBJECT: number}, moment)
        history.append((moment, number))

    seen = [number for at, number in history if at <= moment - lag]
    expected = {OBJECT: seen[-1]} if seen and seen[-1] is not None else {}
    assert portal.limits(pair, moment - lag) == expected
