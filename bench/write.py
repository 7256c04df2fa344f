"""A report as files: `report.md` for people, `report.json` with the value of every run, and the pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.report import Figure, Ratio, Section


@dataclass(frozen=True)
class Report:
    """All measures of one run on one machine. `failures` has the measures that ended in an error, with its text."""

    machine: dict[str, str]
    versions: dict[str, str]
    sections: Sequence[Section]
    failures: dict[str, str]
    quick: bool

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
        "Medians of several runs, least and most in brackets. What is compared was measured in one run on one machine.",
        _table(("machine", ""), [*report.machine.items()]),
        _table(("version", ""), [*report.versions.items()]),
    ]
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
            parts.append(_table(("ratio", "median", "target", ""), [_row(ratio) for ratio in section.ratios]))
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
        "spread": figure.spread,
    }


def _ratio(ratio: Ratio) -> dict[str, Any]:
    return {
        "name": ratio.name,
        "over": _figure(ratio.over),
        "under": _figure(ratio.under),
        "value": ratio.value,
        "spread": ratio.spread,
        "target": ratio.target,
        "atMost": ratio.at_most,
        "met": ratio.met,
    }


def _measured(figure: Figure) -> str:
    least, most = figure.spread
    spread = f" ({number(least)} to {number(most)})" if len(figure.values) > 1 else ""
    return f"{number(figure.median)} {figure.unit}{spread}"


def _said(ratio: Ratio) -> str:
    return f"{number(ratio.value)}, not {_wanted(ratio)}"


def _wanted(ratio: Ratio) -> str:
    if ratio.target is None:
        return ""
    return f"{'at most' if ratio.at_most else 'at least'} {number(ratio.target)}"


def _row(ratio: Ratio) -> tuple[str, ...]:
    least, most = ratio.spread
    spread = f" ({number(least)} to {number(most)})" if least != most else ""
    verdict = "" if ratio.target is None else "met" if ratio.met else "**missed**"
    return ratio.name, f"{number(ratio.value)}{spread}", _wanted(ratio), verdict


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
