"""A fleet of portals in virtual time: `python -m bench.simulate`.

Two questions: how long a rollout to all portals takes, and what holds it up; and how much one bad portal delays the
others. The rules are the service's own (`bench/simulation/consumer.py`), AWS's are from its documentation
(`bench/simulation/cloud.py`), and what things take is assumed where it is not measured. docs/scale.md reads the result.
"""

from __future__ import annotations

import argparse
import heapq
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from random import Random
from statistics import fmean, quantiles

from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table as Grid

from bench.deployed import SETTINGS
from bench.simulation.cloud import TABLE_QUOTA
from bench.simulation.portals import HEALTHY, Asking, Fault, Faults, Message, Portal, fleet
from bench.simulation.run import FULL, GROWING, Deployment, Played, play

HEAD_ROOM = 0.03  # of each quota: infra/config.py, headRoomPercent
SENT_PER_SECOND = 3_000.0  # by whoever rolls out: some 300 SendMessageBatch of ten a second
PAIRS, LIMITS = 30, 4  # in the file that is applied to every portal
QUIET_SECONDS = 600.0  # in which each other portal of the second question sends one message
BAD_FROM = 60.0  # seconds
PARTS = ("calls", "ledger", "processor")  # of the seconds of lanes
STACK = 50  # portals, for the row of many stacks: one had room for so many before they came at run time


@dataclass(frozen=True)
class Rollout:
    name: str
    deployment: Deployment
    by_portal: bool = True
    stacks: bool = False


CONSUMER = SETTINGS["consumer"]
DEPLOYED = Deployment(
    maximum_concurrency=CONSUMER["maximumConcurrency"],
    messages_per_invocation=CONSUMER["messagesPerInvocation"],
    batch_window=CONSUMER["batchWindowSeconds"],
    timeout=CONSUMER["timeoutSeconds"],
)
# Every one differs from the one it is named after in what its name says.
BASE = Deployment()
WIDE = replace(BASE, maximum_concurrency=200)
FILES = replace(WIDE, messages_per_invocation=PAIRS, batch_window=1)
WARM = replace(FILES, write_units=TABLE_QUOTA)
ROLLOUTS = [
    Rollout("one stack, as in cdk.json", DEPLOYED),
    Rollout("the same, maximumConcurrency 50", replace(DEPLOYED, maximum_concurrency=50)),
    Rollout("the same, maximumConcurrency 200", replace(DEPLOYED, maximum_concurrency=200)),
    Rollout("10 messages, no window", BASE),
    Rollout("A: maximumConcurrency 50", replace(BASE, maximum_concurrency=50)),
    Rollout("A, 30 messages, 1 s", replace(FILES, maximum_concurrency=50)),
    Rollout("B: maximumConcurrency 200", WIDE),
    Rollout("B, pair by pair", WIDE, by_portal=False),
    Rollout("B, memoryMiB 1769", replace(WIDE, memory_mib=1_769)),
    Rollout("C: B, 30 messages, 1 s", FILES),
    Rollout("D: C, table warmed", WARM),
    Rollout("D, maximumConcurrency 900", replace(WARM, maximum_concurrency=900)),
    Rollout(f"stacks of {STACK}, 10 messages, no window", BASE, stacks=True),
]


@dataclass(frozen=True)
class Neighbour:
    """One portal that gives `messages` at once, for whatever reason they take long."""

    name: str
    messages: int
    fault: Fault = Fault.NONE


NEIGHBOURS = [
    Neighbour("there is none", 0),
    Neighbour("sends 5,000 messages", 5_000),
    Neighbour("refuses our token, 3,000 messages", 3_000, Fault.TOKEN),
    Neighbour("is silent, 300 messages", 300, Fault.DOWN),
]


def rollout(case: Rollout, portals: int, seed: int, faults: Faults) -> list[Played]:
    """What became of every stack of a rollout."""
    all_portals = fleet(portals, faults, HEAD_ROOM, Random(seed))
    size = STACK if case.stacks else portals
    played = []
    for first in range(0, portals, size):
        some = all_portals[first : first + size]
        rate = SENT_PER_SECOND * len(some) / portals
        messages = Asking(PAIRS, LIMITS).rollout(some, rate, by_portal=case.by_portal)
        played.append(play(messages, case.deployment, seed + first, calls_5xx=faults.calls_5xx))
    return played


def beside(neighbour: Neighbour, deployment: Deployment, portals: int, seed: int) -> tuple[Played, Portal]:
    """What became of everybody's messages beside a bad portal, and that portal."""
    random = Random(seed)
    others = fleet(portals, HEALTHY, HEAD_ROOM, random)
    bad = fleet(1, HEALTHY, HEAD_ROOM, random)[0]
    bad.name, bad.fault = "bad", neighbour.fault
    asking = Asking(PAIRS, LIMITS)

    def quiet() -> Iterator[Message]:
        moments = sorted(random.uniform(0, QUIET_SECONDS) for _ in others)
        for number, (portal, moment) in enumerate(zip(others, moments, strict=True)):
            yield asking.message(portal, number, moment)

    def flood() -> Iterator[Message]:
        for number in range(neighbour.messages):
            yield asking.message(bad, number, BAD_FROM + number / SENT_PER_SECOND)

    messages = heapq.merge(quiet(), flood(), key=lambda message: message.sent)
    return play(messages, deployment, seed), bad


# ------------------------------------------------------------------------------------------------------------- reports
def rollout_row(case: Rollout, portals: int, seed: int) -> list[str]:
    """One line of the first table."""
    stacks = rollout(case, portals, seed, Faults())
    healthy = [message for played in stacks for message in played.done if message.portal.fault is Fault.NONE]
    ends = sorted(message.done or 0.0 for message in healthy)
    slowest = max(stacks, key=lambda played: played.ended)
    seconds = slowest.spent.seconds
    return [
        case.name,
        _span(ends[int(0.99 * len(ends))]),
        _span(ends[-1]),
        f"{sum(played.spent.calls for played in stacks):,}",
        f"{sum(played.most_at_once for played in stacks):,}",
        f"{slowest.held_up[FULL] / slowest.ended:.0%}",
        f"{slowest.held_up[GROWING] / slowest.ended:.0%}",
        f"{slowest.table.full / slowest.ended:.0%}",
        " / ".join(f"{seconds[part] / sum(seconds[each] for each in PARTS):.0%}" for part in PARTS),
        f"{max(played.table.peak for played in stacks):,.0f}",
        f"{_most_secrets(stacks):,}",
        f"{sum(played.spent.seconds['all'] for played in stacks) * case.deployment.memory_mib / 1024:,.0f}",
    ]


def neighbour_row(neighbour: Neighbour, deployment: Deployment, portals: int, seed: int) -> list[str]:
    """One line of the second table."""
    played, bad = beside(neighbour, deployment, portals, seed)
    delays = [(m.done or 0.0) - m.sent for m in played.done if m.portal is not bad and m.sent >= BAD_FROM]
    own = [m.done or 0.0 for m in played.done if m.portal is bad]
    runs = [m.runs for m in played.messages if m.portal is bad]
    cuts = quantiles(delays, n=100)
    return [
        neighbour.name,
        str(deployment.maximum_concurrency),
        "yes" if deployment.fair else "no",
        *(_span(value) for value in (cuts[49], cuts[98], max(delays))),
        f"{_span(max(own) - BAD_FROM)}" if own else "",
        f"{fmean(runs):.1f}" if runs else "",
    ]


def _most_secrets(stacks: list[Played]) -> int:
    together: dict[int, int] = {}
    for played in stacks:
        for second, number in played.spent.secrets.items():
            together[second] = together.get(second, 0) + number
    return max(together.values())


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7_200 else f"{seconds / 3600:.1f} h"


def main() -> int:
    """Play everything and print two tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.simulate", description=__doc__)
    parser.add_argument("--portals", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    portals, seed = options.portals, options.seed
    beside_cases = [
        (neighbour, replace(BASE, maximum_concurrency=most, fair=fair))
        for neighbour in NEIGHBOURS
        for most in (5, 50)
        for fair in (False, True)
        if neighbour.messages or not fair
    ]
    with ProcessPoolExecutor() as pool:
        rollouts = [pool.submit(rollout_row, case, portals, seed) for case in ROLLOUTS]
        neighbours = [pool.submit(neighbour_row, *case, portals, seed) for case in beside_cases]
        console = Console(width=220)
        console.print(f"A file of {PAIRS} pairs x {LIMITS} limits for each of {portals:,} portals, seed {seed}\n")
        grid = _grid(
            "settings", "99 % done", "all done", "HubSpot calls", "functions", "all busy", "growing", "table full",
            "time: calls / ledger / cpu", "write units/s", "secrets/s", "GB-s",
        )  # fmt: skip
        for row in rollouts:
            grid.add_row(*row.result())
        console.print(grid)
        console.print(f"\nOne message from each of {portals:,} portals in {QUIET_SECONDS:.0f} s, beside a bad one\n")
        grid = _grid(
            "the bad portal", "functions", "fair", "others wait: p50", "p99", "most", "it is done", "its runs a message"
        )
        for row in neighbours:
            grid.add_row(*row.result())
        console.print(grid)
    return 0


def _grid(first: str, *others: str) -> Grid:
    grid = Grid(box=MARKDOWN)
    grid.add_column(first, no_wrap=True)
    for name in others:
        grid.add_column(name, justify="right")
    return grid


if __name__ == "__main__":
    sys.exit(main())
