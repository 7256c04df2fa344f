"""Measure everything side by side: `python -m bench`. People use `make bench`."""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Sequence
from importlib import import_module

from bench import checkout, environment
from bench.machine import machine, versions
from bench.report import Section
from bench.write import Report, number, write
from local import emulator
from local.processes import ROOT

# Each is a module here with `measure(quick: bool) -> Section`; those in COMPARED also take a base.
MEASURES = ("cold", "size", "calls", "quota", "overhead", "writes", "growth", "contended")
COMPARED = ("cold", "size", "calls", "overhead", "contended")
COMPLETE = ROOT / "bench"  # the report that is kept; one of a part, or in a hurry, does not take its place
PARTIAL = ROOT / ".local/bench/report"


def main() -> int:
    """Run the measures, and write the report. 1 when a figure misses its target or a measure fails."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", type=_names, default=MEASURES, help=f"some of {','.join(MEASURES)}")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions and smaller loads")
    parser.add_argument("--base", help=f"a commit to measure beside this checkout, by {', '.join(COMPARED)}")
    options = parser.parse_args()
    emulator.isolate()
    try:
        base = checkout.base(options.base) if options.base else None
    except checkout.NoSuchBase as failure:
        sys.exit(f"bench: {failure}")
    for each in filter(None, (checkout.HERE, base)):
        checkout.compile_functions(each)
    sections: list[Section] = []
    failures: dict[str, str] = {}
    for name in options.only:
        compared = {"base": base} if name in COMPARED else {}
        print(f"bench: {name} ...{' it has no use for a base' if base and not compared else ''}", flush=True)
        started = time.monotonic()
        try:
            section: Section = import_module(f"bench.{name}").measure(options.quick, **compared)
        except Exception as failure:  # noqa: BLE001 - whatever one measure dies of, the others' results are kept
            traceback.print_exc()
            failures[name] = f"{type(failure).__name__}: {failure}"
        else:
            sections.append(section)
            _show(section)
        print(f"bench: {name} took {time.monotonic() - started:.0f} s", flush=True)
    report = Report(machine(), versions(environment.installed()), sections, failures, options.quick, base)
    folder = COMPLETE if options.only == MEASURES and not options.quick else PARTIAL
    write(report, folder)
    print(f"bench: the report is {folder.relative_to(ROOT)}/report.md")
    for line in report.missed:
        print(f"bench: MISSED: {line}")
    return 1 if report.missed else 0


def _show(section: Section) -> None:
    print(f"  {section.title}")
    for figure in section.figures:
        print(f"    {figure.name}: {number(figure.median)} {figure.unit}")
    for ratio in section.ratios:
        print(f"    {ratio.name}: {number(ratio.value)}{'' if ratio.met else '  MISSED'}")


def _names(text: str) -> Sequence[str]:
    names = tuple(text.split(","))
    if unknown := [name for name in names if name not in MEASURES]:
        raise argparse.ArgumentTypeError(f"there is no measure {', '.join(unknown)}; there are {', '.join(MEASURES)}")
    return names


if __name__ == "__main__":
    sys.exit(main())
