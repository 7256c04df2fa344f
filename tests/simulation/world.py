"""Virtual time, and workers that take turns. One seed decides every turn, so that a run can be had again."""

from __future__ import annotations

import hashlib
import heapq
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import count
from random import Random
from typing import Any

from greenlet import greenlet

from runtime.concurrency import MAX_THREADS

START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC).timestamp()
Job = Callable[[], Any]
LOOKS = 0.005  # seconds between two looks whether threads are done


class Killed(BaseException):
    """Ends a worker as SIGKILL does: nothing that it still does has any effect."""


class Worker:
    """A process that runs one job. `ended` is told its result, or None when it was killed or failed."""

    def __init__(
        self, world: World, name: str, job: Job, ended: Callable[[Any], None], process: Worker | None = None
    ) -> None:
        self.name = name
        self.process = process or self  # a thread dies with its process
        self.threads: list[Worker] = []
        self.dead = False
        self.ends_at = float("inf")  # when its platform kills it, whatever it does
        self._world = world
        self._job = job
        self._ended = ended
        self._greenlet = greenlet(self._run, parent=world.scheduler)

    def _run(self) -> None:
        result = None
        try:
            result = self._job()
        except Killed:
            result = None
        if not self.dead:
            self.dead = True
            self._world.at(self._world.now, lambda: self._ended(result))

    def close(self) -> None:
        """Unwind it after all is over, with no effect: what a suspended stack holds is never freed otherwise."""
        self.dead = True
        self.unwind()

    def resume(self) -> None:
        """Give it a turn, until it waits or is done."""
        if self.dead:
            return
        self._turn(self._greenlet.switch)

    def _turn(self, take: Callable[..., Any], *arguments: Any) -> None:
        world = self._world
        world.swap_in(self)
        world.current = self
        take(*arguments)
        world.current = None
        world.swap_out(self)

    def kill(self) -> None:
        """End it where it stands, with all its threads."""
        process = self.process
        if process.dead:
            return
        world = self._world
        world.note("killed", process.name)
        everything = [process, *process.threads]
        for each in everything:
            each.dead = True
        world.at(world.now, lambda: process._ended(None))
        if world.current in everything:
            # The others' stacks, as soon as it is nobody's turn.
            for each in everything:
                world.at(world.now, each.unwind)
            raise Killed
        for each in everything:
            each.unwind()

    def unwind(self) -> None:
        """Take down the stack of what is dead and has begun: every port refuses to work in it now."""
        if self._greenlet:
            self._turn(self._greenlet.throw, Killed)


class VirtualLock:
    """A lock that lets the others have their turn while it is waited for."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._taken = False

    def __enter__(self) -> None:
        while self._taken:
            self._world.wait(LOOKS)
        self._taken = True

    def __exit__(self, *_: object) -> None:
        self._taken = False


class World:
    """The clock, the turns and the dice of one seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.now = START
        self.current: Worker | None = None
        self.scheduler = greenlet.getcurrent()
        self.steps = 0
        self.swap_in: Callable[[Worker], None] = lambda worker: None
        self.swap_out: Callable[[Worker], None] = lambda worker: None
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._digest = hashlib.sha256()
        self._numbers = count(1)
        self._workers: list[Worker] = []
        self._ids = count(1)

    def clock(self) -> datetime:
        """The time in UTC."""
        return datetime.fromtimestamp(self.now, UTC)

    def new_id(self) -> str:
        """An id that no other has."""
        return f"id-{next(self._ids)}"

    def at(self, moment: float, do: Callable[[], None]) -> None:
        """Do something at a moment."""
        heapq.heappush(self._events, (max(moment, self.now), next(self._order), do))

    def spawn(self, name: str, job: Job, ended: Callable[[Any], None]) -> Worker:
        """Start a worker."""
        worker = Worker(self, f"{name}-{next(self._numbers)}", job, ended)
        self._workers.append(worker)
        self.at(self.now, worker.resume)
        return worker

    def side_by_side(self, jobs: Sequence[Callable[[], None]]) -> None:
        """In a worker: threads that do jobs, as concurrency.side_by_side does."""
        if len(jobs) < 2:
            for job in jobs:
                job()
            return
        process = self.current
        assert process is not None
        left = deque(jobs)
        failed: list[Exception] = []

        def take() -> None:
            while left:
                try:
                    left.popleft()()
                except Exception as error:  # noqa: BLE001 # of any kind: told to the process, as the real pool does
                    failed.append(error)

        def ended(_: Any) -> None:
            if all(thread.dead for thread in process.threads):
                process.resume()

        for _ in range(min(MAX_THREADS, len(jobs))):
            thread = Worker(self, f"{process.name}-{next(self._numbers)}", take, ended, process)
            process.threads.append(thread)
            self._workers.append(thread)
            self.at(self.now, thread.resume)
        self.scheduler.switch()  # until the last of them has ended
        self.alive()
        process.threads.clear()
        if failed:
            raise failed[0]

    def new_lock(self) -> VirtualLock:
        """A lock between the threads of a worker, that they wait for in virtual time."""
        return VirtualLock(self)

    def wait(self, seconds: float) -> None:
        """In a worker: let others work for so long. Raises Killed if the worker was killed meanwhile."""
        worker = self.current
        if worker is None:
            return  # the scheduler itself asks, as in the checks at the end
        self.alive()
        self.at(self.now + seconds, worker.resume)
        self.scheduler.switch()
        self.alive()

    def alive(self) -> None:
        """Raise Killed in a worker that is dead."""
        if self.current is not None and self.current.dead:
            raise Killed

    def note(self, *what: object) -> None:
        """Write a step down, so that two runs of one seed can be compared."""
        self.steps += 1
        self._digest.update(f"{self.now:.6f} {what}\n".encode())

    @property
    def fingerprint(self) -> str:
        """A hash of every step so far."""
        return self._digest.hexdigest()

    def run(self, until: float) -> bool:
        """Let everything happen until then; whether nothing is left to happen."""
        while self._events and self._events[0][0] <= until:
            moment, _, do = heapq.heappop(self._events)
            self.now = max(self.now, moment)
            do()
        self.now = max(self.now, until) if self._events else self.now
        return not self._events

    def close(self) -> None:
        """Nothing happens any more."""
        self._events.clear()
        for worker in self._workers:
            worker.close()

    def chance(self, share: float) -> bool:
        """Whether something of that probability happens."""
        return share > 0 and self.random.random() < share
