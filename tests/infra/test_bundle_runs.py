"""The built assets under awslambdaric, Lambda's own runtime client: each entry point answers from the bundle."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import distribution
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from tests.infra.bundle import ENVIRONMENT, BuiltBundle
from tests.support.events import api_event, load

RUNTIME_CLIENT = ("awslambdaric", "simplejson", "snapshot_restore_py")
ANSWERED_WITHIN = 30  # seconds, for a cold start on a busy machine


@pytest.fixture(scope="session")
def runtime_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runtime client alone, so that nothing else of this environment can stand in for what a bundle lacks."""
    folder = tmp_path_factory.mktemp("runtime")
    for name in RUNTIME_CLIENT:
        for file in distribution(name).files or []:
            if ".." not in file.parts:
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(str(file.locate()), folder / file)
    return folder


class RuntimeApi(ThreadingHTTPServer):
    """Lambda's runtime interface for one invocation: hands out the event, takes the answer or the error."""

    daemon_threads = True

    def __init__(self, event: object) -> None:
        super().__init__(("127.0.0.1", 0), _Invocation)
        self.events: Queue[bytes] = Queue()
        self.events.put(json.dumps(event).encode())
        self.said: Queue[tuple[str, Any]] = Queue()


class _Invocation(BaseHTTPRequestHandler):
    server: RuntimeApi

    def do_GET(self) -> None:
        body = self.server.events.get()
        self.send_response(200)
        for name, value in {
            "Lambda-Runtime-Aws-Request-Id": "invocation-1",
            "Lambda-Runtime-Deadline-Ms": "99999999999999",
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-central-1:123456789012:function:function",
            "Lambda-Runtime-Trace-Id": "Root=1-6741a2b3-0123456789abcdef01234567",
            "Content-Type": "application/json",  # the client reads it without asking whether it is there
            "Content-Length": str(len(body)),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.said.put((self.path.rsplit("/", 1)[-1], json.loads(body or b"null")))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing: the test prints what matters."""


@contextmanager
def runtime(event: object) -> Iterator[RuntimeApi]:
    api = RuntimeApi(event)
    thread = threading.Thread(target=api.serve_forever, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        api.shutdown()
        api.server_close()
        thread.join()


def invoke(bundle: BuiltBundle, runtime_client: Path, entry_point: str, event: object) -> tuple[str, Any]:
    """Whether the bundle's entry point gave a `response` or an `error`, and which."""
    base = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    with runtime(event) as api:
        environment = ENVIRONMENT | {
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{api.server_port}",
            "PYTHONPATH": os.pathsep.join(map(str, (bundle.code, bundle.layer / "python", runtime_client))),
            "LAMBDA_TASK_ROOT": str(bundle.code),
            "PATH": os.environ["PATH"],
        }
        process = subprocess.Popen(
            [base, "-s", "-m", "awslambdaric", f"{entry_point}.handler"],
            cwd=bundle.code,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            return api.said.get(timeout=ANSWERED_WITHIN)
        finally:
            process.kill()
            print(process.communicate()[0].decode())


def test_the_webhook_answers(built_bundle: BuiltBundle, runtime_client: Path) -> None:
    kind, answer = invoke(built_bundle, runtime_client, "webhook", api_event("GET", "/no/such/route"))

    assert kind == "response"
    assert answer["statusCode"] == 404
    assert json.loads(answer["body"])["status"] == "error"


@pytest.mark.parametrize("entry_point", ["consumer", "dead_letters"])
def test_what_takes_messages_answers(entry_point: str, built_bundle: BuiltBundle, runtime_client: Path) -> None:
    assert invoke(built_bundle, runtime_client, entry_point, {"Records": []}) == ("response", {"batchItemFailures": []})


@pytest.mark.parametrize("entry_point", ["sweep", "dispatcher"])
def test_what_runs_by_the_clock_asks_the_ledger(
    entry_point: str, built_bundle: BuiltBundle, runtime_client: Path
) -> None:
    kind, answer = invoke(built_bundle, runtime_client, entry_point, {})

    assert kind == "error"  # as nobody is there
    assert answer["errorType"] == "LedgerUnavailable"


def test_a_malformed_schedule_is_an_error_to_lambda(built_bundle: BuiltBundle, runtime_client: Path) -> None:
    kind, answer = invoke(built_bundle, runtime_client, "scheduled", {**load("scheduler"), "inputs": []})

    assert kind == "error"
    assert answer["errorType"] == "ContractError"
    assert "inputs: must hold at least 1 input" in answer["errorMessage"]


def test_every_module_of_the_bundle_comes_from_the_bundle(built_bundle: BuiltBundle, runtime_client: Path) -> None:
    code = (
        "import sys, webhook, consumer, scheduled, dead_letters, sweep, dispatcher\n"
        "print(*{m.__file__ for m in sys.modules.values() if 'site-packages' in (getattr(m, '__file__', '') or '')})"
    )
    path = os.pathsep.join(map(str, (built_bundle.code, built_bundle.layer / "python")))
    base = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"

    done = subprocess.run(
        [base, "-S", "-c", code], env=ENVIRONMENT | {"PYTHONPATH": path}, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == ""
