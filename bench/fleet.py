"""Lambda with an event source mapping: a queue's messages in batches to a few workers, until all are done."""

from __future__ import annotations

import heapq
import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from threading import Lock
from typing import IO

from bench.stage import Stage
from bench.traffic import Record
from local.processes import ROOT

WORKERS = 4  # the mapping's concurrency
POLL = 0.01  # seconds between two looks of an idle poller


@dataclass(frozen=True)
class Contestant:
    """A handler: its module, the Python that has its packages, its import path, and its function's timeout in seconds,
    which is also for how long its queue hides a message that came back."""

    module: str
    python: Path
    path: str
    timeout: int


@dataclass(frozen=True)
class Mapping:
    """How the event source mapping gathers messages: at most `messages`, and no longer than `window` seconds."""

    messages: int
    window: float


@dataclass(frozen=True)
class Invocation:
    """One call of the handler. Times in seconds, `started` since the run began; peak memory of its process so far.
    `again`: how many of the messages came back, or were sent on as new ones."""

    started: float
    seconds: float
    cpu_seconds: float
    peak_kib: int
    batch: Sequence[Record]
    again: int = 0


class Backlog:
    """Messages, each visible from its moment on (seconds of the monotonic clock)."""

    def __init__(self, records: Sequence[Record], mapping: Mapping, until: float) -> None:
        self._numbers = count()
        now = time.monotonic()
        self._waiting = [(now, next(self._numbers), record) for record in records]
        self._mapping = mapping
        self._until = until
        self._unfinished = len(records)
        self._lock = Lock()

    def take(self) -> list[Record]:
        """The next batch, waited for; empty when all is done, or its time is over."""
        full_by: float | None = None
        while self._unfinished and time.monotonic() < self._until:
            with self._lock:
                now = time.monotonic()
                visible = self._visible(now)
                if visible and full_by is None:
                    full_by = now + self._mapping.window
                if visible >= self._mapping.messages or (full_by is not None and visible and now >= full_by):
                    return [heapq.heappop(self._waiting)[2] for _ in range(visible)]
            time.sleep(POLL)
        return []

    def add(self, sent: Sequence[tuple[Record, float]]) -> None:
        """Take messages that a handler has sent, each visible after so many seconds."""
        now = time.monotonic()
        with self._lock:
            for record, delay in sent:
                heapq.heappush(self._waiting, (now + delay, next(self._numbers), record))
            self._unfinished += len(sent)

    def done(self, batch: Sequence[Record], returned: dict[str, float]) -> None:
        """Delete a batch's messages, but for those that come back, each after so many seconds."""
        now = time.monotonic()
        with self._lock:
            for record in batch:
                if record["messageId"] in returned:
                    again = now + returned[record["messageId"]]
                    heapq.heappush(self._waiting, (again, next(self._numbers), record))
                else:
                    self._unfinished -= 1

    def close(self) -> None:
        """Hand out nothing any more."""
        self._until = 0.0

    def _visible(self, now: float) -> int:
        """How many could be taken, up to a batch."""
        if len(self._waiting) > self._mapping.messages:
            first = heapq.nsmallest(self._mapping.messages, self._waiting)
        else:
            first = self._waiting
        return sum(moment <= now for moment, _, _ in first)


def run(
    contestant: Contestant,
    records: Sequence[Record],
    mapping: Mapping,
    stage: Stage,
    seconds: float = 3_600,
    **environment: str,
) -> list[Invocation]:
    """Have a contestant work off `records`, or as many as it can in `seconds`; every invocation that there was."""
    with _workers(contestant, stage.environment() | environment) as workers:
        began = time.monotonic()
        backlog = Backlog(records, mapping, began + seconds)

        def poll(worker: Worker) -> list[Invocation]:
            invocations = []
            try:
                while batch := backlog.take():
                    started = time.monotonic() - began
                    invocation, returned = worker.invoke(batch, started)
                    sent = stage.sent()
                    backlog.add(sent)
                    backlog.done(batch, _hidden(returned, contestant, stage))
                    invocations.append(replace(invocation, again=len(returned) + len(sent)))
            except BaseException:
                backlog.close()  # the others would wait for this batch
                raise
            return invocations

        with ThreadPoolExecutor(WORKERS) as pool:
            try:
                return sorted((each for ran in pool.map(poll, workers) for each in ran), key=lambda each: each.started)
            finally:
                backlog.close()  # whoever is interrupted here waits no longer than for what has begun


def _hidden(returned: Sequence[str], contestant: Contestant, stage: Stage) -> dict[str, float]:
    """For how long each message that came back is hidden: as its handler has told the queue, or as the queue does."""
    postponed = stage.postponed() if returned else {}
    now = time.time()
    return {each: max(0.0, postponed.get(each, now + contestant.timeout) - now) for each in returned}


class Worker:
    """One execution environment."""

    def __init__(self, said: IO[str], told: IO[str]) -> None:
        self._said, self._told = said, told

    def wait_ready(self) -> None:
        """Wait until its handler is imported. Raises RuntimeError where it ends instead."""
        if not self._said.readline():
            raise RuntimeError("a worker ended before its first invocation; what it said stands above")

    def invoke(self, batch: Sequence[Record], started: float) -> tuple[Invocation, list[str]]:
        """The invocation, and the ids of the messages that come back."""
        self._told.write(json.dumps({"Records": batch}) + "\n")
        self._told.flush()
        line = self._said.readline()
        if not line:
            raise RuntimeError("a worker ended within an invocation; what it said stands above")
        said = json.loads(line)
        returned = [each["itemIdentifier"] for each in said["returned"]["batchItemFailures"]]
        invocation = Invocation(started, said["seconds"], said["cpuSeconds"], said["peakKiB"], batch)
        return invocation, returned


@contextmanager
def _workers(contestant: Contestant, environment: dict[str, str]) -> Iterator[list[Worker]]:
    command = [str(contestant.python), "-m", "bench.worker", contestant.module, str(contestant.timeout)]
    path = {"PYTHONPATH": os.pathsep.join([str(ROOT), contestant.path])}
    with ExitStack() as processes:
        workers = []
        for _ in range(WORKERS):
            process = processes.enter_context(
                subprocess.Popen(
                    command,
                    cwd=ROOT,
                    env=os.environ | environment | path,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            assert process.stdin
            assert process.stdout
            workers.append(Worker(process.stdout, process.stdin))
        for worker in workers:
            worker.wait_ready()
        yield workers
