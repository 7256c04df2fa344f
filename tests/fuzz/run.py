"""Many inputs on all cores: `python -m tests.fuzz`. People use `make fuzz N= SEED=`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from rich.console import Console
from rich.table import Table

from tests.fuzz.doors import DOORS, fuzz, spread

PART = 2_500  # inputs of one seed


def _part(work: tuple[str, int, int]) -> Counter[str]:
    name, examples, seed = work
    return fuzz(DOORS[name], examples, seed)


def main() -> int:
    """Print what became of the inputs, by door. Exit status 1, with the smallest input found, where one does harm."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=4_000, help="in all (default 4000)")
    parser.add_argument("--seed", type=int, default=1, help="(default 1)")
    options = parser.parse_args()
    started = time.monotonic()
    work = [
        (name, min(PART, examples - done), options.seed + done // PART)
        for name, examples in spread(options.inputs)
        for done in range(0, examples, PART)
    ]
    counted: dict[str, Counter[str]] = {name: Counter() for name in DOORS}
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        for (name, examples, _), found in zip(work, pool.map(_part, work), strict=True):
            counted[name] += found
            print(f"fuzz: {examples} more at the {name}", file=sys.stderr)
    table = Table("door", "inputs", "what became of them", box=None)
    for name, found in counted.items():
        table.add_row(
            name, str(found.total()), ", ".join(f"{what or 'nothing'} {n}" for what, n in found.most_common())
        )
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    console.print(table)
    total = sum(found.total() for found in counted.values())
    console.print(
        f"{total} inputs in {time.monotonic() - started:.0f} s: no 5xx, no unhandled exception, none without an answer,"
        " and every answer as docs/openapi.yaml has it."
    )
    return 0
