"""Lambda in front of a function that is invoked synchronously: an environment for each event that is being handled."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

from bench.checkout import Checkout
from local.processes import ROOT

AT_ONCE = 4  # environments that warm up together
LONGEST_ANSWER = 16 * 2**20  # bytes of a line


@dataclass(frozen=True)
class Answer:
    """What an event was answered, and after how many seconds from the moment it was due."""

    returned: dict[str, Any]
    seconds: float
    cpu_seconds: float

    @property
    def status(self) -> int:
        """The HTTP status."""
        return int(self.returned["statusCode"])

    def header(self, name: str) -> str | None:
        """A header of a REST proxy integration's answer."""
        values = self.returned.get("multiValueHeaders", {}).get(name)
        return str(values[0]) if values else None


class Environment:
    """An execution environment, which handles one event at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def invoke(self, event: dict[str, Any]) -> dict[str, Any]:
        """What bench/worker.py tells of the invocation. Raises RuntimeError where the environment has ended."""
        # As API Gateway stamps each: the time by which requests are ordered.
        event.setdefault("requestContext", {})["requestTimeEpoch"] = round(time.time() * 1000)
        self._writer.write(json.dumps(event).encode() + b"\n")
        line = await self._reader.readline()
        if not line:
            raise RuntimeError("an environment has ended; what it said stands above")
        told: dict[str, Any] = json.loads(line)
        return told

    async def close(self) -> None:
        """Let it end."""
        self._writer.close()
        await self._writer.wait_closed()


class Function:
    """A function with its environments. Where all are busy another one is started, as Lambda does."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._environments: list[Environment] = []
        self._idle: list[Environment] = []
        self.most_busy = 0

    async def warm_up(self, count: int, events: Sequence[dict[str, Any]]) -> list[Answer]:
        """Have so many environments that have each handled these events; how they were answered. The first environment
        handles them before all others do."""
        made = [await self._start() for _ in range(count)]
        together = asyncio.Semaphore(AT_ONCE)

        async def warm(environment: Environment) -> list[Answer]:
            async with together:
                return [await _answered(environment, event, time.monotonic()) for event in events]

        answers = await warm(made[0])
        answers += [each for some in await asyncio.gather(*map(warm, made[1:])) for each in some]
        self._idle += made
        return answers

    async def invoke(self, event: dict[str, Any], due: float) -> Answer:
        """Handle an event that was due at a moment of the monotonic clock."""
        # The one that was busy last: so Lambda, too, leaves alone what it does not need.
        environment = self._idle.pop() if self._idle else await self._start()
        self.most_busy = max(self.most_busy, len(self._environments) - len(self._idle))
        answer = await _answered(environment, event, due)
        self._idle.append(environment)
        return answer

    async def open_loop(self, events: Sequence[dict[str, Any]], per_second: float) -> list[Answer]:
        """Handle events, each begun at its moment, whether or not those before it have ended."""
        began = time.monotonic()

        async def begin(number: int, event: dict[str, Any]) -> Answer:
            due = began + number / per_second
            await asyncio.sleep(due - time.monotonic())
            return await self.invoke(event, due)

        return await asyncio.gather(*(begin(number, event) for number, event in enumerate(events)))

    async def close(self) -> None:
        """Let all environments end."""
        for environment in self._environments:
            await environment.close()

    async def _start(self) -> Environment:
        ours, its = socket.socketpair()
        with its:
            socket.send_fds(self._control, [b"1"], [its.fileno()])
        environment = Environment(*await asyncio.open_unix_connection(sock=ours, limit=LONGEST_ANSWER))
        self._environments.append(environment)
        return environment


async def _answered(environment: Environment, event: dict[str, Any], due: float) -> Answer:
    told = await environment.invoke(event)
    return Answer(told["returned"], time.monotonic() - due, told["cpuSeconds"])


@asynccontextmanager
async def function(
    checkout: Checkout, module: str, seconds: int, environment: dict[str, str]
) -> AsyncIterator[Function]:
    """A checkout's function with a timeout of so many seconds, by its own Python and with its own code, until the block
    ends. Raises RuntimeError where it cannot be imported."""
    path = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(checkout.root / "functions")])}  # bench/ is this one for both
    command = [str(checkout.python), "-m", "bench.prefork", module, str(seconds)]
    with _running(command, checkout.environment | environment | path) as control:
        made = Function(control)
        try:
            yield made
        finally:
            await made.close()


@contextmanager
def _running(command: Sequence[str], environment: dict[str, str]) -> Iterator[socket.socket]:
    """The socket to a program that is ready."""
    ours, its = socket.socketpair()
    with its:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=its.fileno(), stdout=subprocess.PIPE)
    with process, ours:  # which ends the program, before its end is waited for
        assert process.stdout
        if not process.stdout.readline():
            raise RuntimeError("a function could not be imported; what it said stands above")
        yield ours
