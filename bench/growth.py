"""Measure 5: whether a message costs more time, or memory is lost, the more messages a process has run before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from bench import deployed
from bench.deployed import BATCH_SIZE
from bench.ours import MAPPING
from bench.report import Figure, Ratio, Section
from bench.traffic import messages
from bench.worker import Context, peak_kib
from local.processes import ROOT

COUNTS = (1_000, 10_000, 100_000)
INVOCATIONS = (10, 100, 1_000, 10_000)  # messages; SQS delivers at most 10,000 at once
TEXT = f"""\
The consumer's handler with {MAPPING.messages} messages an invocation, in a fresh process for each count, with a
HubSpot and a ledger of tests/support/fakes.py in that process, emptied after each invocation: what is left is our own
code. Time is the processor's, after one invocation that is not counted; memory is the most that the process has held
(resident set), interpreter and fakes included. Besides, single invocations of more and more messages: their memory has
to grow, and their time for each message must not."""


def measure(quick: bool) -> Section:
    """Time for a message and peak memory at three counts, and in invocations of four sizes."""
    counts, sizes, runs = (COUNTS[:2], INVOCATIONS[:3], 1) if quick else (COUNTS, INVOCATIONS, 2)
    with ThreadPoolExecutor(
        runs
    ) as pool:  # side by side, so that a change of the machine's pace meets all counts alike
        longer = list(pool.map(lambda _: [_in_a_process(count, MAPPING.messages) for count in counts], range(runs)))
        larger = list(pool.map(lambda _: [_in_a_process(size, size) for size in sizes], range(runs)))
    times, memory = _figures([f"{count:,} messages" for count in counts], longer)
    sized_times, sized_memory = _figures([f"one invocation of {size:,}" for size in sizes], larger)
    least, most = f"{counts[0]:,}", f"{counts[-1]:,}"
    ratios = (
        Ratio(f"time of a message, {most} / {least}", times[-1], times[0], 1.15),
        Ratio(f"peak memory, {most} / {least}", memory[-1], memory[0], 1.05),
        Ratio(
            f"time of a message, invocations of {sizes[-1]:,} / {sizes[-2]:,}", sized_times[-1], sized_times[-2], None
        ),
    )
    return Section("Growth", TEXT, (*times, *memory, *sized_times, *sized_memory), ratios, ())


def _figures(names: Sequence[str], runs: Sequence[Sequence[dict[str, float]]]) -> tuple[list[Figure], list[Figure]]:
    times, memory = [], []
    for name, told in zip(names, zip(*runs, strict=True), strict=True):
        times.append(Figure(f"{name}: time of a message", "ms", tuple(each["milliseconds"] for each in told)))
        memory.append(Figure(f"{name}: peak memory", "MiB", tuple(each["peakMiB"] for each in told)))
    return times, memory


def _in_a_process(count: int, batch: int) -> dict[str, float]:
    path = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "functions")])}
    command = [sys.executable, "-m", "bench.growth", str(count), str(batch)]
    said = subprocess.run(
        command, cwd=ROOT, env=os.environ | path, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    told: dict[str, float] = json.loads(said)
    print(
        f"  {count:,} messages by {batch:,}: {told['milliseconds']:.2f} ms each, {told['peakMiB']:.0f} MiB", flush=True
    )
    return told


def run(count: int, batch: int) -> dict[str, float]:
    """Run `count` messages in this process, `batch` an invocation: processor time for each, and peak memory."""
    os.environ.update(
        deployed.environment(),
        HUBSPOT_BASE_URL="https://hubspot.test",
        TOKEN_SECRET_PREFIX="portals",
        OUTCOMES_TABLE="outcomes",
        ACCESS_TOKENS_TABLE="tokens",
        QUEUE_URL="https://queue.test",
        AWS_DEFAULT_REGION="us-east-1",
    )
    # Not before the environment is set, which Powertools reads on import.
    import consumer
    from aws.dynamodb import Table
    from ledger.ledger import Ledger
    from tests.simulation.dynamo import Dynamo
    from tests.support.fakes import Clock, FakeHubSpot, ports

    clock, hubspot = Clock(), FakeHubSpot()
    spent = 0.0

    def invoke(number: int) -> None:
        nonlocal spent
        dynamo: Any = Dynamo(lambda operation: "", lambda: clock().timestamp(), index_lag=0)
        ledger = Ledger(Table(dynamo, "outcomes"), timedelta(days=400))
        vars(consumer)["production"] = lambda: ports(ledger, hubspot, clock, BATCH_SIZE)
        records = messages(batch, clock().timestamp(), seed=number)
        started = time.process_time()
        returned = consumer.handler({"Records": records}, Context(60))["batchItemFailures"]
        spent += time.process_time() - started
        if returned:
            raise AssertionError(f"{len(returned)} messages came back")
        for record in (hubspot.created, hubspot.tokens, hubspot.calls):
            record.clear()

    invoke(0)
    spent = 0.0
    invocations = max(1, count // batch)
    for number in range(1, invocations + 1):
        invoke(number)
    return {"milliseconds": spent * 1000 / (invocations * batch), "peakMiB": peak_kib() / 1024}


if __name__ == "__main__":
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is logged costs its writer, and nobody reads it
    print(json.dumps(run(int(sys.argv[1]), int(sys.argv[2]))), file=answer)
