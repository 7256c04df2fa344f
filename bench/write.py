"""A report as files: `report.md` for people, `report.json` with the value of every run, and the pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.checkout import Checkout
from bench.interval import RESAMPLES
from bench.report import Figure, Ratio, Section

INTERVALS = f"""\
Medians of several runs. In brackets are 95 % intervals, by the bootstrap: the medians of {RESAMPLES:,} drawings of as
many of the runs, with replacement and the same each time, but for 2.5 % of them at both ends. A ratio is of two
medians; where both were measured in the same turns, turns are drawn. The interval of a median of fewer than six runs
goes from the least to the most. What is compared was measured in one run on one machine."""


@dataclass(frozen=True)
class Report:
    """All measures of one run on one machine. `failures` has the measures that ended in an error, with its text;
    `base` is the commit that this checkout was compared with."""

    machine: dict[str, str]
    versions: dict[str, str]
    sections: Sequence[Section]
    failures: dict[str, str]
    quick: bool
    base: Checkout | None = None

    @property
    def missed(self) -> list[str]:
        """What does not hold: each ratio off its target and each measure that failed, one sentence each."""
        off = [
            f"{section.title}: {ratio.name} is {_said(ratio)}" for section in self.sections for ratio in section.missed
        ]
        return off + [f"{name}: failed: {text}" for name, text in self.failures.items()]


def write(report: Report, folder: Path) -> None:
    """Write all files of a report into a folder, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(as_json(report), indent=2) + "\n")
    (folder / "report.md").write_text(as_markdown(report))
    for section in report.sections:
        for picture in section.pictures:
            (folder / f"{picture.name}.svg").write_text(picture.svg)


def as_json(report: Report) -> dict[str, Any]:
    """Everything but the pictures."""
    return {
        "machine": report.machine,
        "versions": report.versions,
        "quick": report.quick,
        "base": {"commit": report.base.commit, "subject": report.base.subject} if report.base else None,
        "sections": [
            {
                "title": section.title,
                "figures": [_figure(figure) for figure in section.figures],
                "ratios": [_ratio(ratio) for ratio in section.ratios],
            }
            for section in report.sections
        ],
        "failures": report.failures,
    }


def as_markdown(report: Report) -> str:
    """The report for people."""
    parts = [
        "# What `make bench` measured",
        INTERVALS,
        _table(("machine", ""), [*report.machine.items()]),
        _table(("version", ""), [*report.versions.items()]),
    ]
    if report.base:
        parts.append(
            f"The *base* is commit `{report.base.commit}` ({report.base.subject}). The *head* is this checkout."
            " Both were measured in turns."
        )
    if report.quick:
        parts.append(
            "**This was a quick run: fewer repetitions and smaller loads than the figures claimed elsewhere.**"
        )
    missed = report.missed
    parts.append(f"{len(missed)} figures miss their targets." if missed else "Every figure meets its target.")
    parts.extend(f"* {line}" for line in missed)
    for section in report.sections:
        parts += [f"## {section.title}", section.text]
        if section.ratios:
            parts.append(_table(("ratio", "of the medians", "target", ""), [_row(ratio) for ratio in section.ratios]))
        if section.figures:
            rows = [(figure.name, _measured(figure)) for figure in section.figures]
            parts.append(_table(("figure", "median"), rows))
        parts.extend(f"![{picture.name}]({picture.name}.svg)" for picture in section.pictures)
    return "\n\n".join(parts) + "\n"


def number(value: float) -> str:
    """Four significant digits at least, and no digit of a large number lost."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _figure(figure: Figure) -> dict[str, Any]:
    return {
        "name": figure.name,
        "unit": figure.unit,
        "values": figure.values,
        "median": figure.median,
        "interval": figure.interval,
        "spread": figure.spread,
    }


def _ratio(ratio: Ratio) -> dict[str, Any]:
    return {
        "name": ratio.name,
        "over": _figure(ratio.over),
        "under": _figure(ratio.under),
        "value": ratio.value,
        "interval": ratio.interval,
        "spread": ratio.spread,
        "target": ratio.target,
        "atMost": ratio.at_most,
        "met": ratio.met,
    }


def _measured(figure: Figure) -> str:
    low, high = figure.interval
    interval = f" ({number(low)} to {number(high)})" if len(figure.values) > 1 else ""
    return f"{number(figure.median)} {figure.unit}{interval}"


def _said(ratio: Ratio) -> str:
    return f"{number(ratio.value)}, not {_wanted(ratio)}"


def _wanted(ratio: Ratio) -> str:
    if ratio.target is None:
        return ""
    return f"{'at most' if ratio.at_most else 'at least'} {number(ratio.target)}"


def _row(ratio: Ratio) -> tuple[str, ...]:
    low, high = ratio.interval
    interval = f" ({number(low)} to {number(high)})" if low != high else ""
    verdict = "" if ratio.target is None else "met" if ratio.met else "**missed**"
    return ratio.name, f"{number(ratio.value)}{interval}", _wanted(ratio), verdict


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
