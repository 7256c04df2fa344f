from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.checkout import Checkout
from bench.picture import bars, lines, nice_top
from bench.report import Figure, Picture, Ratio, Section
from bench.write import Report, as_json, as_markdown, number, write

MACHINE = {"cores": "2"}
VERSIONS = {"python": "3.13.0"}


def figure(*values: float, name: str = "time") -> Figure:
    return Figure(name, "s", values)


def report(*ratios: Ratio, failures: dict[str, str] | None = None) -> Report:
    section = Section("Calls", "How.", (figure(1, 3, 2),), ratios, (Picture("calls", "<svg/>"),))
    return Report(MACHINE, VERSIONS, (section,), failures or {}, quick=False)


def test_a_figure_is_the_median_of_its_runs_and_spans_all_of_them() -> None:
    assert figure(3, 1, 10).median == 3
    assert figure(3, 1, 10).spread == (1, 10)


def test_a_ratio_is_of_the_medians_and_spreads_run_by_run() -> None:
    ratio = Ratio("ours / theirs", figure(2, 3, 8), figure(4, 6, 4), None)

    assert ratio.value == 3 / 4
    assert ratio.spread == (0.5, 2)


def test_a_ratio_of_unequally_many_runs_spreads_as_far_as_they_allow() -> None:
    ratio = Ratio("ours / theirs", figure(2, 4), figure(8), None)

    assert ratio.spread == (2 / 8, 4 / 8)


@pytest.mark.parametrize(
    ("target", "at_most", "met"), [(0.5, True, True), (0.49, True, False), (0.5, False, True), (0.51, False, False)]
)
def test_a_target_is_met_at_its_very_value(target: float, at_most: bool, met: bool) -> None:
    assert Ratio("a / b", figure(1), figure(2), target, at_most).met is met


def test_a_ratio_without_a_target_only_informs() -> None:
    assert Ratio("a / b", figure(9), figure(1), None).met


def test_what_misses_and_what_failed_is_listed() -> None:
    found = report(Ratio("a / b", figure(2), figure(1), 1.5), failures={"cold": "OSError: no"}).missed

    assert found == ["Calls: a / b is 2, not at most 1.5", "cold: failed: OSError: no"]


def test_the_report_for_people_has_each_ratio_with_its_target_and_interval() -> None:
    text = as_markdown(report(Ratio("a / b", figure(2, 4), figure(1, 1), 1.5)))

    assert "| a / b | 3 (2 to 4) | at most 1.5 | **missed** |" in text
    assert "| time | 2 s (1 to 3) |" in text
    assert "![calls](calls.svg)" in text


def test_the_report_for_programs_has_the_value_of_every_run() -> None:
    told = as_json(report(Ratio("a / b", figure(2), figure(1), None)))

    assert told["sections"][0]["figures"][0] == {
        "name": "time",
        "unit": "s",
        "values": (1, 3, 2),
        "median": 2,
        "interval": (1, 3),
        "spread": (1, 3),
    }


def test_the_report_names_the_commit_that_it_compares_with() -> None:
    base = Checkout("base: ", Path("elsewhere"), Path("python"), "1234abcd", "It says old")
    compared = replace(report(), base=base)

    assert "The *base* is commit `1234abcd` (It says old)." in as_markdown(compared)
    assert as_json(compared)["base"] == {"commit": "1234abcd", "subject": "It says old"}
    assert "*base*" not in as_markdown(report())
    assert as_json(report())["base"] is None


def test_the_first_lines_say_what_is_in_brackets() -> None:
    title, said = as_markdown(report()).split("\n\n")[:2]

    assert title == "# What `make bench` measured"
    assert "95 % intervals, by the bootstrap" in said


def test_a_long_series_has_an_interval_narrower_than_its_spread() -> None:
    values = [float(value) for value in range(40)]
    ratio = Ratio("a / b", figure(*values), figure(*([2.0] * 40)), None)
    low, high = ratio.interval

    assert f"| a / b | 9.75 ({number(low)} to {number(high)}) |" in as_markdown(report(ratio))
    assert ratio.spread[0] < low < ratio.value < high < ratio.spread[1]


def test_a_report_is_written_with_its_pictures(tmp_path: Path) -> None:
    write(report(), tmp_path / "new")

    assert json.loads((tmp_path / "new/report.json").read_text())["machine"] == MACHINE
    assert (tmp_path / "new/report.md").read_text().startswith("# ")
    assert (tmp_path / "new/calls.svg").read_text() == "<svg/>"


@pytest.mark.parametrize(("value", "said"), [(0.98765, "0.9877"), (12, "12"), (1234.5, "1,234"), (0.5, "0.5")])
def test_numbers_are_said_with_the_digits_that_matter(value: float, said: str) -> None:
    assert number(value) == said


positive = st.just(0.0) | st.floats(min_value=1e-3, max_value=1e9)


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314 # it is our own


@given(st.lists(st.tuples(st.text("a<&>\"'é", max_size=9), positive), min_size=1, max_size=6))
def test_bars_are_well_formed_whatever_they_are_called(values: list[tuple[str, float]]) -> None:
    root = parsed(bars("Cold <start>", "ms", [(name, value, (value, value)) for name, value in values]))

    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert len(root.findall("{*}rect")) == len(values) + 1  # and the paper


@given(st.lists(st.tuples(positive, positive), min_size=1, max_size=20), positive)
def test_lines_are_well_formed_and_stay_on_the_paper(points: list[tuple[float, float]], level: float) -> None:
    root = parsed(lines("Calls & quota", "s", "calls", [("ours", points)], [("the quota", level)]))

    (line,) = root.findall("{*}polyline")
    drawn = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
    assert all(0 <= x <= float(root.attrib["width"]) and 0 <= y <= float(root.attrib["height"]) for x, y in drawn)


@given(st.floats(min_value=1e-9, max_value=1e12))
def test_an_axis_ends_little_above_the_most(most: float) -> None:
    assert most <= nice_top(most) <= 2.5 * most
