"""The surroundings of all contestants, processes of their own on loopback: HubSpot's stand-in and an AWS."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import requests
from urllib3.util import Retry

from bench import deployed
from bench.traffic import AssociationType, Record, again
from local import emulator
from local.processes import HOST, ROOT, free_port

HUBSPOT_MS = 150  # HubSpot's answer to a small batch; the figure
DYNAMODB_MS = 4  # DynamoDB's answer within a region: AWS speaks of single-digit milliseconds
JOURNAL = 1_000_000
TOKEN_SECRET_PREFIX = "portals"
APP = {"clientId": "bench", "clientSecret": "bench", "refreshToken": "bench", "expiresIn": 86_400, "rotates": False}
# Under which name the stand-in's journal has the calls with each of the tokens.
OURS, OTHERS = "oauth-bench-1", "oauth-bench-2"


@dataclass(frozen=True)
class Stage:
    """Addresses, and two tokens of one app, which share its quota: for the contestant and for another program."""

    hubspot: str
    aws: str
    token: str
    other_token: str
    http: requests.Session

    def settings(self, **switches: int | None) -> None:
        """Change switches of the stand-in, named as docs/standin.md names them."""
        self.http.patch(f"{self.hubspot}/_standin/settings", json=switches).raise_for_status()

    def know(self, types: Iterable[AssociationType]) -> None:
        """Make association types known to the account of both tokens."""
        for each in types:
            told = {_camel(name): value for name, value in asdict(each).items()}
            self.http.post(f"{self.hubspot}/_standin/types", json=told).raise_for_status()

    def journal(self) -> list[dict[str, Any]]:
        """Every call of the association operations since the stage was set, oldest first."""
        entries: list[dict[str, Any]] = self.http.get(f"{self.hubspot}/_standin/journal").json()["entries"]
        return [entry for entry in entries if entry["operation"] != "token"]

    def counts(self) -> dict[str, int]:
        """How often each operation of AWS was called, writes by the beginning of their key."""
        told: dict[str, int] = self.http.get(self.aws).json()["counts"]
        return told

    def units(self) -> dict[str, int]:
        """The write units of the table, by the beginning of the key: of outcomes by "", of pairs by "pair"."""
        told: dict[str, int] = self.http.get(self.aws).json()["units"]
        return told

    def postponed(self) -> dict[str, float]:
        """Until when (epoch seconds) each message is hidden whose visibility was changed, by its receipt handle."""
        told: dict[str, float] = self.http.get(self.aws).json()["postponed"]
        return told

    def sent(self) -> list[tuple[Record, float]]:
        """The messages that were sent since this was asked last, each with the seconds until it is visible."""
        answer = self.http.post(self.aws, json={}, headers={"X-Amz-Target": "Bench.Sent"})
        answer.raise_for_status()
        now = time.time()
        return [(again(told, now), told["delay"]) for told in answer.json()["messages"]]

    def environment(self) -> dict[str, str]:
        """Environment variables for every contestant's functions."""
        return {
            **deployed.environment(),
            **emulator.credentials(self.aws),
            "HUBSPOT_BASE_URL": self.hubspot,
            "TOKEN_SECRET_PREFIX": TOKEN_SECRET_PREFIX,
            "TOKEN_SECRET": f"{TOKEN_SECRET_PREFIX}/default",
            "OUTCOMES_TABLE": "outcomes",
            "ACCESS_TOKENS_TABLE": "tokens",
            "QUEUE_URL": f"{self.aws}/queue",
            "CLIENTS_SECRET": "clients",
        }


@contextmanager
def stage(types: Iterable[AssociationType], **switches: int | None) -> Iterator[Stage]:
    """A new stand-in with these types and switches (else its defaults, and HUBSPOT_MS for an answer), and a new AWS."""
    http = requests.Session()
    http.trust_env = False  # whatever proxy is set, it has no part in a call of loopback
    http.mount("http://", requests.adapters.HTTPAdapter(max_retries=Retry(connect=20, backoff_factor=0.05)))
    ports = free_port(), free_port()
    hubspot, aws = (f"http://{HOST}:{port}" for port in ports)
    with running("local.hubspot", "--port", str(ports[0]), "--journal", str(JOURNAL)):
        http.post(f"{hubspot}/_standin/oauth", json=APP).raise_for_status()
        token, other = (_access_token(http, hubspot) for _ in range(2))
        with running("bench.aws", "--port", str(ports[1]), "--secret", token, "--latency-ms", str(DYNAMODB_MS)):
            set_up = Stage(hubspot, aws, token, other, http)
            set_up.counts()
            set_up.know(types)
            set_up.settings(**{"latencyMs": HUBSPOT_MS, **switches})
            yield set_up


@contextmanager
def running(module: str, *arguments: str) -> Iterator[None]:
    """A module of this checkout as a program, until the block ends."""
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.title, others))


def _access_token(http: requests.Session, hubspot: str) -> str:
    form = {"grant_type": "refresh_token", "client_id": "bench", "client_secret": "bench", "refresh_token": "bench"}
    answer = http.post(f"{hubspot}/oauth/2026-03/token", data=form)
    answer.raise_for_status()
    return str(answer.json()["access_token"])
