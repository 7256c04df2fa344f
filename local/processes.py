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

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
START_SECONDS = 60  # both servers start within two on two idle cores
STOP_SECONDS = 5  # then a server is killed; the emulator gives its workers two
LOG_LINES_SHOWN = 20


class ServerFailed(Exception):
    """A server did not start or did not stop. The message says which, and ends with what it last logged."""


@dataclass(frozen=True)
class Record:
    """A server that was started: its process, its port, and what it was made from in words of whoever started it.

    A process id alone says little, because ids are used again. Together with the command, which names this checkout,
    it says enough.
    """

    pid: int
    command: list[str]
    port: int
    made_from: str

    def alive(self) -> bool:
        """Whether the process is still there, is the one that was started, and has not ended."""
        try:
            # An interpreter's name may stand before the command.
            return psutil.Process(self.pid).cmdline()[-len(self.command) :] == self.command
        except psutil.Error:  # gone, ended and not yet collected, or another user's
            return False

    def end(self, how: signal.Signals) -> bool:
        """Send a signal to the server and the workers in its group; whether it then ends within STOP_SECONDS."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, how)
        deadline = time.monotonic() + STOP_SECONDS
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True


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
        return record if record.alive() else None

    def start(self, command: list[str], environment: dict[str, str], port: int, made_from: str, health: str) -> None:
        """Start the server, with `environment` added to this process's, and wait until the path `health` answers.

        `made_from` is kept in the record for the caller to compare. Raises ServerFailed.
        """
        if not _is_free(port):
            raise ServerFailed(f"the {self.name} cannot have port {port}: another program listens on {HOST}:{port}")
        with self.log.open("w") as log:
            subprocess.run(
                [sys.executable, "-m", "local.processes", str(self._record), str(port), made_from, *command],
                cwd=ROOT,
                env=os.environ | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that whoever kills the starter's group leaves the launcher to its work
                check=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not _answers(f"http://{HOST}:{port}{health}"):
            if not self.running():
                raise ServerFailed(f"the {self.name} ended at once.\n{self._tail()}")
            if time.monotonic() > deadline:
                raise ServerFailed(f"the {self.name} did not answer within {START_SECONDS} s.\n{self._tail()}")
            time.sleep(0.05)

    def stop(self) -> bool:
        """Stop the server and its workers; whether one was running. Raises ServerFailed if it cannot be stopped."""
        record = self.running()
        if record and not (record.end(signal.SIGTERM) or record.end(signal.SIGKILL)):
            raise ServerFailed(f"the {self.name} (process {record.pid}) does not end.\n{self._tail()}")
        self._record.unlink(missing_ok=True)
        return record is not None

    def _tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join([f"The end of {self.log}:", *lines[-LOG_LINES_SHOWN:]])


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])


def write_whole(path: Path, text: str) -> None:
    """Write a file so that a reader sees either the old or the new text, and never a part."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text)
    partial.replace(path)


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        # Connections of a server that just ended do not keep the port; one that listens does.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            return False
        return True


def _answers(url: str) -> bool:
    try:
        # Whatever proxy is set, it has no part in a call of loopback.
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _launch(record: Path, port: str, made_from: str, *command: str) -> None:
    """Start the command as nobody's child, in a session of its own, and record it.

    As a program of its own, so that killing the starter at any moment leaves no server without a record, and that a
    starter which lives on has no child to wait for.
    """
    until_started, open_until_started = os.pipe()
    pid = os.fork()
    if not pid:
        os.setsid()  # neither Ctrl-C nor a closed terminal reaches it, and its workers are in a group with it
        os.execvp(command[0], command)
    os.close(open_until_started)
    os.read(until_started, 1)  # returns when the child's end closes: it has become the command, or has ended
    write_whole(record, json.dumps(asdict(Record(pid, list(command), int(port), made_from))))


if __name__ == "__main__":
    _launch(Path(sys.argv[1]), *sys.argv[2:])
