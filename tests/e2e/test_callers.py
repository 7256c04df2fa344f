"""Keys and tokens changed while requests come in, and requests that HubSpot has signed, on the deployed stack."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests

from api.hubspot_signature import SIGNATURE, TIME, signature
from local.deployment import PUBLIC_URL
from local.hubspot.server import DEFAULT_TOKEN
from local.processes import ROOT
from tests.e2e.deployed import LocalStack, until

PATH = "/crm/associations/2026-03/definitions/configurations/contacts/companies/batch/create"
NEW_TOKEN = "new-token-of-the-account"
APP_SECRET = "secret-of-the-app"
CALLERS = 3
SUPERSEDED = "SUPERSEDED"
KNOWN_WITHIN = 10.5  # seconds; docs/security.md promises ten


def make_client(*arguments: str) -> str:
    """What `make client` prints: a key, or nothing."""
    command = [sys.executable, "-m", "local.client", *arguments]
    environment = os.environ | {"PYTHONPATH": "functions"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@contextmanager
def load(local: LocalStack, keys: list[str]) -> Iterator[list[int | str]]:
    """Callers that send without a pause, always with the last of `keys`; the statuses that they are answered."""
    statuses: list[int | str] = []
    over = threading.Event()

    def calls() -> None:
        with requests.Session() as session:
            number = 0
            while not over.is_set():
                number += 1
                body = {"inputs": [{"category": "HUBSPOT_DEFINED", "typeId": 279, "maxToObjectIds": 20 + number % 5}]}
                headers = {"Authorization": f"Bearer {keys[-1]}"}
                statuses.append(status(session.post(local["apiUrl"] + PATH, json=body, headers=headers, timeout=40)))
                time.sleep(0.1)

    threads = [threading.Thread(target=calls) for _ in range(CALLERS)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        over.set()
        for thread in threads:
            thread.join()


def status(answer: requests.Response) -> int | str:
    """The status of an answer, or SUPERSEDED: callers who want different numbers at once are run together, and the
    youngest wins."""
    superseded = answer.status_code == 207 and {error["category"] for error in answer.json()["errors"]} == {SUPERSEDED}
    return SUPERSEDED if superseded else answer.status_code


def more(statuses: list[int | str]) -> None:
    """Wait until a good number of answers have come."""
    so_far = len(statuses)
    until(lambda: True if len(statuses) > so_far + 4 * CALLERS else None, "more answers")


def test_a_key_is_changed_under_load_and_no_request_is_refused(local: LocalStack) -> None:
    keys = [make_client("rotating", "--portals", "default", "--object-types", "contacts,companies")]
    time.sleep(KNOWN_WITHIN)

    with load(local, keys) as statuses:
        more(statuses)
        new = make_client("rotating", "--rotate")
        time.sleep(KNOWN_WITHIN)
        keys.append(new)
        more(statuses)
        make_client("rotating", "--retire")
        more(statuses)
    make_client("rotating", "--remove")

    assert set(statuses) <= {201, 202, SUPERSEDED}
    assert len(statuses) > 12 * CALLERS


def test_a_token_is_changed_under_load_and_no_request_is_refused(local: LocalStack) -> None:
    secrets = local.aws("secretsmanager")
    old = secrets.get_secret_value(SecretId=local["tokenSecretName"])["SecretString"]
    assert old == DEFAULT_TOKEN

    try:
        with load(local, [local["clientKey"]]) as statuses:
            more(statuses)
            local.standin("POST", "tokens", {"name": "new", "token": NEW_TOKEN})
            secrets.put_secret_value(SecretId=local["tokenSecretName"], SecretString=NEW_TOKEN)
            local.standin("POST", "tokens", {"name": "default", "token": old, "state": "expired"})
            more(statuses)
    finally:
        local.standin("POST", "tokens", {"name": "default", "token": old})
        secrets.put_secret_value(SecretId=local["tokenSecretName"], SecretString=old)

    assert set(statuses) <= {201, 202, SUPERSEDED}


@pytest.fixture
def app_secret(local: LocalStack) -> Iterator[str]:
    """The secret of an app of the portal `default`, beside its token."""
    secrets = local.aws("secretsmanager")
    name = local["tokenSecretName"]
    before = secrets.get_secret_value(SecretId=name)["SecretString"]
    both = {"accessToken": before, "appSecret": APP_SECRET}
    secrets.put_secret_value(SecretId=name, SecretString=json.dumps(both))
    time.sleep(KNOWN_WITHIN)
    yield both["appSecret"]
    secrets.put_secret_value(SecretId=name, SecretString=before)


def test_hubspots_own_request_is_run_once_without_a_key(local: LocalStack, app_secret: str) -> None:
    body = json.dumps({"inputs": [{"category": "HUBSPOT_DEFINED", "typeId": 279, "maxToObjectIds": 33}]}).encode()
    time_text = str(round(time.time() * 1000))

    def send(content: bytes) -> requests.Response:
        made = signature(app_secret, "POST", PUBLIC_URL + PATH, body, time_text)
        headers = {"Content-Type": "application/json", SIGNATURE: made, TIME: time_text}
        return requests.post(local["apiUrl"] + PATH, data=content, headers=headers, timeout=40)

    first, again, tampered = send(body), send(body), send(body.replace(b"33", b"34"))

    assert (first.status_code, tampered.status_code) == (202, 401), (first.text, tampered.text)
    assert again.headers["Outcome-Id"] == first.headers["Outcome-Id"]
    outcome = local.final(first.headers["Outcome-Id"])
    assert (outcome["status"], outcome["client"]) == ("COMPLETE", "hubspot")
