"""Many seeds on all cores, one report: `python -m tests.simulation`. People use `make simulate N= SEED=`."""

from __future__ import annotations

import argparse
import gc
import json
import os
import signal
import sys
import time
from contextlib import suppress
from itertools import accumulate, count
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.simulation.checks import Report, check
from tests.simulation.deployment import installed
from tests.simulation.evidence import Violation
from tests.simulation.plan import MOST_RECEIVES, make, size
from tests.simulation.scenario import LONGEST, Scenario
from tests.simulation.story import story

ROOT = Path(__file__).resolve().parent.parent.parent
REQUESTS = 100  # of one seed, at most: more seeds show more than longer ones
SEEDS = 1_000  # at least
SEEDS_BETWEEN_NEWS = 250
STORIES = 6


def simulate(
    seed: int, requests: int, receives: int = MOST_RECEIVES, longest: float = LONGEST
) -> tuple[Scenario, Report]:
    """Play one seed and check what it came to."""
    gc.disable()  # what one seed leaves is little, and looking for it all the time takes a fifth of the time
    try:
        with installed():
            scenario = Scenario(make(seed, requests, receives)).play(longest)
        return scenario, check(scenario)
    finally:
        gc.enable()
        gc.collect()


def _begin() -> None:
    gc.freeze()  # of what is imported nothing is ever let go: a fifth of the time goes into looking at it otherwise


def _report(work: tuple[int, int]) -> Report:
    return simulate(*work)[1]


def total(first: int, seeds: int, requests: int, processes: int) -> Report:
    """The report of many seeds; when interrupted, of those that were done by then."""
    whole = Report()
    work = [(seed, requests) for seed in range(first, first + seeds)]
    with get_context("spawn").Pool(processes, _begin) as pool, suppress(KeyboardInterrupt):
        for report in pool.imap_unordered(_report, work, chunksize=1):
            whole.add(report)
            for seed, violation in report.violations:  # at once: the whole report can be an hour away
                print(f"simulate: seed {seed}: {violation.kind}: {violation.what}", file=sys.stderr)
            if whole.seeds % SEEDS_BETWEEN_NEWS == 0:
                news = f"{whole.seeds} of {seeds} seeds, {whole.requests} requests, {len(whole.violations)} violations"
                print(f"simulate: {news}", file=sys.stderr)
    return whole


def enough(first: int, least: int, requests: int, wanted: int) -> int:
    """How many seeds have so many requests together."""
    together = accumulate(size(seed, requests) for seed in count(first))
    return next(seeds for seeds, so_far in enumerate(together, 1) if seeds >= least and so_far >= wanted)


def show(report: Report, seconds: float) -> None:
    """Print a report for people, and one line of it for programs."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    table = Table(box=None, show_header=False)
    rows = {
        "seeds": report.seeds,
        "requests": report.requests,
        "accepted": report.accepted,
        "outcomes": dict(sorted(report.statuses.items())),
        "inputs": dict(sorted(report.results.items())),
        "lost": report.count("lost"),
        "doubled": report.count("doubled"),
        "disagreements": report.count("disagreement"),
        "undone": report.count("undone"),
        "unfinished": report.count("unfinished"),
        "dead letters": report.dead_letters,
        "workers killed": dict(report.kills),
        "batch creates made": f"{report.calls} for {report.needed} requests, and {report.reads} reads",
        "steps": report.steps,
        "time": f"{seconds:.0f} s",
    }
    for name, value in rows.items():
        table.add_row(name, str(value))
    console.print(table)
    print(json.dumps({name: value for name, value in rows.items() if name != "time"}))


def main() -> int:
    """Exit status 1 if anything is not as it must be."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--requests", type=int, default=3_000, help="in all (default 3000)")
    parser.add_argument("--seed", type=int, default=1, help="the first seed (default 1)")
    parser.add_argument("--seeds", type=int, help="how many (default: at least 1000 where there are enough requests)")
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell lets its background jobs ignore
    started = time.monotonic()
    seeds = options.seeds or min(SEEDS, options.requests // 10) or 1
    requests = -(-options.requests // seeds)
    if not options.seeds:
        requests = min(requests, REQUESTS)
        seeds = enough(options.seed, seeds, requests, options.requests)
    report = total(options.seed, seeds, requests, os.cpu_count() or 1)
    show(report, time.monotonic() - started)
    for seed, violation in _one_each(report):
        scenario, _ = simulate(seed, requests)
        print(f"\n{violation.kind}: {violation.what}\n{story(scenario, violation.outcome_id, violation.also)}")
        print(f"again: python -m tests.simulation --seed {seed} --seeds 1 --requests {requests}")
    if report.seeds < seeds:
        print(f"interrupted: {report.seeds} of {seeds} seeds were played")
        return 130
    return 1 if report.violations else 0


def _one_each(report: Report) -> list[tuple[int, Violation]]:
    """A few violations to tell the story of: of each seed and kind one."""
    found = {(seed, violation.kind): (seed, violation) for seed, violation in report.violations}
    return list(found.values())[:STORIES]
