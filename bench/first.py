"""The first request of an entry point: from a fresh interpreter's first line to the moment at which a real event leads
to a call of HubSpot, or, where HubSpot is not called, to the first write on AWS."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3.util import Retry

from bench import fresh
from bench.stage import running
from local.processes import HOST, free_port
from tests.support.aws import client, clients_secret
from tests.support.events import api_event, load

Item = dict[str, Any]

MARK = "first request:"
# Lambda's runtime has the event before it calls the handler, so here it is part of the program. A call of HubSpot shows
# in the look-up of its name, of which Python tells an audit hook before it is made: the same for whatever library
# sends, without a line of it imported earlier than by the entry point, and no call leaves this machine, as the process
# ends there. Between `HTTPAdapter.send` and that look-up is urllib3's making of a connection, under a millisecond. The
# hook comes after the import, of which it would be told thousands of times. Logs may stand in the same output.
PROGRAM = """
import time
started = time.perf_counter()
import {module}
import os, sys
class Context:
    aws_request_id = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
    function_name = "function"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:function"
    def get_remaining_time_in_millis(self):
        return 29_000
def look(event, arguments):
    if event == "socket.getaddrinfo" and arguments[0] == {host!r}:
        moment = time.perf_counter()
        os.write(1, f"\\n{mark} {{started}} {{moment}}\\n".encode())
        os._exit(0)
sys.addaudithook(look)
{module}.handler({event!r}, Context())
sys.stdout.flush()
os.write(1, f"\\n{mark} {{started}}\\n".encode())
"""
HOST_OF_HUBSPOT = urlsplit(fresh.ENVIRONMENT["HUBSPOT_BASE_URL"]).hostname
INPUTS = [{"category": "HUBSPOT_DEFINED", "typeId": 3, "maxToObjectIds": 5}]
PATH = "/crm/associations/2026-03/definitions/configurations/deals/contacts/batch/create"
KEY = "Bearer crm-key"
# What each entry point is invoked with. A given-up message comes to its queue as it was in its first one.
EVENTS: dict[str, dict[str, Any]] = {
    "consumer": load("sqs"),
    "scheduled": load("scheduler"),
    "webhook": api_event("POST", PATH, body={"inputs": INPUTS}, Authorization=KEY),
    "dead_letters": load("sqs"),
    "sweep": {},
}
# Of the others, `sweep` writes to AWS alone, and so did `dead_letters` once.
ASK_HUBSPOT = frozenset({"consumer", "scheduled", "webhook"})
ACCEPTED = api_event("POST", PATH, body={"inputs": INPUTS}, Prefer="respond-async", Authorization=KEY)
AGE = 7_200  # seconds: longer than the sweep leaves an outcome alone
SECRETS = {"clients": clients_secret(client("crm"))}
TOKEN = "none"  # of any portal; no call of HubSpot is made


@dataclass(frozen=True)
class Aws:
    """A bench/aws.py that answers at once."""

    url: str
    http: requests.Session

    def reset(self, items: Sequence[Item] = ()) -> list[Item]:
        """Begin anew with these items; what items there were."""
        body = {"items": list(items), "secrets": SECRETS}
        answer = self.http.post(self.url, json=body, headers={"X-Amz-Target": "Bench.Reset"})
        answer.raise_for_status()
        before: list[Item] = answer.json()["items"]
        return before

    def first_write(self) -> float | None:
        """When the first write since then came, by `time.perf_counter`."""
        moment: float | None = self.http.get(self.url).json()["firstWrite"]
        return moment

    def environment(self) -> dict[str, str]:
        """What a deployment would tell its functions of it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "OUTCOMES_TABLE": "outcomes",
            "ACCESS_TOKENS_TABLE": "tokens",
            "QUEUE_URL": f"{self.url}/queue",
            "CLIENTS_SECRET": "clients",
            "HUBSPOT_BASE_URL": fresh.ENVIRONMENT["HUBSPOT_BASE_URL"],
        }


@dataclass(frozen=True)
class FirstRequest:
    """An entry point with the bundle that it is imported from, and its event."""

    name: str
    module: str
    path: tuple[Path, ...]
    environment: dict[str, str]
    aws: Aws
    items: tuple[Item, ...] = ()

    def run(self) -> dict[str, float]:
        """Milliseconds until the first request, with an AWS that knows nothing but `items`. Raises fresh.Failed."""
        self.aws.reset(self.items)
        text = self._invoked(EVENTS[self.module])
        started, *moments = moments_told(text)
        moment = moments[0] if moments else None if self.module in ASK_HUBSPOT else self.aws.first_write()
        if moment is None:
            raise fresh.Failed(f"{self.name} ended without its first request", text)
        return {"first request": (moment - started) * 1000}

    def stuck(self) -> list[Item]:
        """An outcome that waits for a message which is lost: what this bundle's webhook writes when it accepts, made
        old. So it is written as this very commit writes it."""
        self.aws.reset()
        text = self._invoked(ACCEPTED)
        written = [item for item in self.aws.reset() if "requestedAt" in item]
        if not written:
            raise fresh.Failed(f"{self.name} accepted nothing", text)
        return [aged(item, time.time() - AGE) for item in written]

    def _invoked(self, event: dict[str, Any]) -> str:
        return fresh.said(program(self.module, event), self.path, {**self.environment, **self.aws.environment()})


def program(module: str, event: dict[str, Any]) -> str:
    """What a fresh interpreter runs: an entry point's handler with an event, until it calls HubSpot or returns."""
    return PROGRAM.format(module=module, event=event, host=HOST_OF_HUBSPOT, mark=MARK)


def moments_told(text: str) -> list[float]:
    """What a program has told of its moments, among its logs. Raises fresh.Failed where it told none."""
    for line in text.splitlines():
        if line.startswith(MARK):
            return [float(word) for word in line.removeprefix(MARK).split()]
    raise fresh.Failed("a fresh interpreter told no moment", text)


def aged(item: Item, moment: float) -> Item:
    """An outcome's item as if it had been requested at a moment (epoch seconds)."""
    given: str = item["requestedAt"]["S"]
    # Of the same form, down to the digits of its seconds.
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment))
    older: Item = json.loads(json.dumps(item).replace(given, seconds + given[len(seconds) :]))
    return older


@contextmanager
def aws() -> Iterator[Aws]:
    """An AWS of its own process, so that it takes no time of who is measured but that of its answers."""
    http = requests.Session()
    http.trust_env = False  # whatever proxy is set, it has no part in a call of loopback
    http.mount("http://", requests.adapters.HTTPAdapter(max_retries=Retry(connect=20, backoff_factor=0.05)))
    port = free_port()
    with running("bench.aws", "--port", str(port), "--secret", TOKEN, "--latency-ms", "0"):
        made = Aws(f"http://{HOST}:{port}", http)
        made.first_write()  # retried until it listens
        yield made
