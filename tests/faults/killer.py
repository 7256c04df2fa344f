"""Kills the emulator's Lambda workers at random moments, as Lambda itself may lose an execution environment."""

from __future__ import annotations

import re
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from random import Random

import psutil

from local import stack

WORKER = re.compile(r"ministack-lambda-(?P<function>.+)-[^/]+/_worker\.py$")
LOOK_AGAIN = 0.25  # seconds
KINDS = {"Webhook": "webhook", "Consumer": "consumer", "Scheduled": "scheduled"}


def workers() -> list[tuple[str, psutil.Process]]:
    """The emulator's worker processes, each with the kind of its function: those that have begun to work.

    One that is killed while it starts makes the emulator start all others of its function anew, which fail in turn.
    """
    record = stack.EMULATOR.running()
    assert record is not None, "the emulator does not run"
    found = []
    for process in psutil.Process(record.pid).children(recursive=True):
        try:
            named = WORKER.search(process.cmdline()[-1])
            at_work = bool(named and process.net_connections("inet"))
        except (psutil.Error, IndexError):
            continue  # it has ended meanwhile
        kind = next((kind for name, kind in KINDS.items() if named and f"-{name}" in named["function"]), None)
        if kind and at_work:
            found.append((kind, process))
    return found


class Killer:
    """While it is entered, SIGKILL for a random worker, on average every `mean` seconds. Its dice are seeded.

    Where none is at work, the next to come is the one: a campaign may be half over before the first has started.
    """

    def __init__(self, seed: int, mean: float) -> None:
        self.killed: Counter[str] = Counter()
        self._dice = Random(seed)
        self._mean = mean
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="killer")

    def __enter__(self) -> Killer:
        self._running = self._pool.submit(self._run)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._pool.shutdown()
        self._running.result()  # raises what went wrong with it

    def _run(self) -> None:
        while not self._over.wait(self._dice.expovariate(1 / self._mean)):
            while not self._kill() and not self._over.wait(LOOK_AGAIN):
                pass

    def _kill(self) -> bool:
        candidates = workers()
        if not candidates:
            return False
        kind, process = self._dice.choice(sorted(candidates, key=lambda worker: worker[1].pid))
        try:
            process.kill()
        except psutil.NoSuchProcess:
            return False
        self.killed[kind] += 1
        return True
