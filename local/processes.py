"""Servers that outlive the command that starts them, found again by a record of each in a folder."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

HOST = "127.0.0.1"
START_SECONDS = 30  # both servers start within two on two cores; a machine busy with other things needs more
STOP_SECONDS = 5
LOG_LINES_SHOWN = 20


class ServerFailed(Exception):
    """A server did not start or did not stop. The message says which, and ends with what it last logged."""


@dataclass(frozen=True)
class Record:
    """A server that was started. `created` is its start time, since a process id alone is reused by other processes."""

    pid: int
    created: float
    port: int
    made_from: str

    def process(self) -> psutil.Process | None:
        """The process, if it is still the one that was started and has not ended."""
        try:
            process = psutil.Process(self.pid)
            ours = process.create_time() == self.created and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return None
        return process if ours else None


@dataclass(frozen=True)
class Server:
    """A place in a folder for one server: `{name}.process.json` is its record, `{name}.log` what it says."""

    folder: Path
    name: str

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def _record(self) -> Path:
        return self.folder / f"{self.name}.process.json"

    def running(self) -> Record | None:
        """The record of the running server, or None."""
        if not self._record.exists():
            return None
        record = Record(**json.loads(self._record.read_text()))
        return record if record.process() else None

    def start(self, command: list[str], environment: dict[str, str], port: int, made_from: str, health: str) -> None:
        """Start the server, with `environment` added to this process's, and wait until the path `health` answers.

        `made_from` is kept in the record for the caller to compare. Raises ServerFailed.
        """
        with self.log.open("w") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "local.processes", str(self._record), str(port), made_from, *command],
                env=os.environ | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that neither Ctrl-C nor a closed terminal reaches it
            )
        deadline = time.monotonic() + START_SECONDS
        while not _answers(f"http://{HOST}:{port}{health}"):
            if child.poll() is not None:
                raise ServerFailed(f"the {self.name} ended at once with exit status {child.returncode}.\n{self.tail()}")
            if time.monotonic() > deadline:
                raise ServerFailed(f"the {self.name} did not answer within {START_SECONDS} s.\n{self.tail()}")
            time.sleep(0.05)

    def stop(self) -> bool:
        """Stop the server and its workers; whether one was running. Raises ServerFailed if it cannot be stopped."""
        record = self.running()
        process = record and record.process()
        if process:
            # The server leads a group of its own, which holds its workers too.
            for stop in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, stop)
                if not psutil.wait_procs([process], timeout=STOP_SECONDS)[1]:
                    break
            else:
                raise ServerFailed(f"the {self.name} (process {process.pid}) does not end.\n{self.tail()}")
        self._record.unlink(missing_ok=True)
        return process is not None

    def tail(self) -> str:
        """The end of the server's log, for a person to read."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join([f"The end of {self.log}:", *lines[-LOG_LINES_SHOWN:]])


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def write_whole(path: Path, text: str) -> None:
    """Write a file so that a reader sees either the old or the new text, and never a part."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text)
    partial.replace(path)


def _become(record: Path, port: str, made_from: str, *command: str) -> None:
    # The server writes its own record, before it is itself: killing its starter at any moment loses track of nothing.
    own = Record(os.getpid(), psutil.Process().create_time(), int(port), made_from)
    write_whole(record, json.dumps(asdict(own)))
    os.execvp(command[0], command)


if __name__ == "__main__":
    _become(Path(sys.argv[1]), *sys.argv[2:])
