"""How sure a median is."""

from __future__ import annotations

from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.interval import of_median, of_ratio
from bench.turns import in_turn

measured = st.floats(min_value=1e-3, max_value=1e6)
runs = st.lists(measured, min_size=1, max_size=12)
turns = st.lists(st.tuples(measured, measured), min_size=1, max_size=12)
confidences = st.floats(min_value=0, max_value=1)
few = settings(max_examples=30)  # each example draws thousands of times


@given(runs, confidences)
@few
def test_an_interval_has_the_median_in_it_and_ends_within_the_runs(values: list[float], confidence: float) -> None:
    low, high = of_median(values, confidence)

    assert min(values) <= low <= median(values) <= high <= max(values)


@given(runs, confidences, confidences)
@few
def test_more_confidence_never_makes_an_interval_narrower(values: list[float], one: float, other: float) -> None:
    less, more = sorted((one, other))

    inner, outer = of_median(values, less), of_median(values, more)

    assert outer[0] <= inner[0]
    assert inner[1] <= outer[1]


@given(measured, st.integers(min_value=1, max_value=40), confidences)
@few
def test_one_value_is_its_own_interval_however_often_it_was_measured(value: float, times: int, sure: float) -> None:
    assert of_median([value] * times, sure) == (value, value)


@given(st.lists(measured, min_size=1, max_size=5))
@few
def test_the_interval_of_fewer_than_six_runs_goes_from_the_least_to_the_most(values: list[float]) -> None:
    low, high = of_median(values)

    assert (low, high) == pytest.approx((min(values), max(values)))


def test_more_runs_make_an_interval_narrower() -> None:
    some = [float(value) for value in range(100, 120)]

    few_low, few_high = of_median(some)
    low, high = of_median(some * 8)

    assert few_low < low
    assert high < few_high


def test_the_same_runs_have_the_same_interval_in_any_order_of_asking() -> None:
    first = of_median([3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0])
    of_median([8.0, 2.0])

    assert of_median([3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0]) == first


@given(turns, confidences)
@few
def test_the_interval_of_a_ratio_has_the_ratio_of_the_medians_in_it(
    pairs: list[tuple[float, float]], confidence: float
) -> None:
    over, under = zip(*pairs, strict=True)

    low, high = of_ratio(over, under, confidence)

    assert low <= median(over) / median(under) <= high


def test_what_slows_both_down_in_a_turn_does_not_count() -> None:
    slow = [1.0, 7.0, 2.0, 5.0, 3.0, 11.0, 4.0, 6.0]

    low, high = of_ratio([2 * each for each in slow], slow)

    assert (low, high) == (2, 2)


def test_unequally_many_runs_are_drawn_each_on_their_own() -> None:
    low, high = of_ratio([2.0, 4.0], [8.0])

    assert (low, high) == (2 / 8, 4 / 8)


@given(st.lists(st.integers(), min_size=1, max_size=5), st.integers(min_value=0, max_value=9))
def test_everybody_has_one_turn_and_the_order_is_turned_round_each_time(all_: list[int], number: int) -> None:
    assert list(in_turn(all_, number + 1)) == list(in_turn(all_, number))[::-1]
    assert sorted(in_turn(all_, number)) == sorted(all_)
