"""The local stack, really deployed: up for all of these tests, and down again unless it was up before."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import boto3
import pytest
import requests

from local import emulator, stack

T = TypeVar("T")

FINAL = {"COMPLETE", "PARTIAL", "REJECTED", "UNCONFIRMED", "FAILED"}
PATIENCE = 90.0  # seconds; far more than anything here takes, for a machine that is busy with other things
FIRES_AFTER = timedelta(seconds=45)


@dataclass(frozen=True)
class LocalStack:
    """What `.local/stack.json` says, and the clients of one who uses it."""

    described: dict[str, str]
    started: datetime
    api: requests.Session = field(default_factory=requests.Session)

    def __getitem__(self, name: str) -> str:
        return self.described[name]

    def aws(self, service: str) -> Any:
        client: Any = boto3.client  # for any service, where its types know each by name
        return client(
            service,
            endpoint_url=self["awsEndpointUrl"],
            region_name=self["region"],
            aws_access_key_id=emulator.ACCOUNT,
            aws_secret_access_key="local",
        )

    def call(self, method: str, path: str, **rest: Any) -> requests.Response:
        """A call of the API with the client key, unless `headers` bring another."""
        headers = {"Authorization": f"Bearer {self['clientKey']}"} | rest.pop("headers", {})
        return self.api.request(method, self["apiUrl"] + path, headers=headers, timeout=40, **rest)

    def create(self, from_type: str, to_type: str, *limits: dict[str, Any], **headers: str) -> requests.Response:
        path = f"/crm/associations/2026-03/definitions/configurations/{from_type}/{to_type}/batch/create"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.call("POST", path, json={"inputs": list(limits)}, headers=named)

    def send(self, body: object) -> str:
        """Put a message on the queue; its id, which is its outcome's."""
        text = body if isinstance(body, str) else json.dumps(body)
        answer = self.aws("sqs").send_message(QueueUrl=self["queueUrl"], MessageBody=text)
        return str(answer["MessageId"])

    def outcome(self, outcome_id: str) -> dict[str, Any] | None:
        answer = self.call("GET", f"/outcomes/{outcome_id}")
        return answer.json() if answer.status_code == 200 else None

    def final(self, outcome_id: str) -> dict[str, Any]:
        """The outcome, once it is final."""

        def look() -> dict[str, Any] | None:
            outcome = self.outcome(outcome_id)
            return outcome if outcome and outcome["status"] in FINAL else None

        return until(look, f"outcome {outcome_id} to become final")

    def standin(self, method: str, path: str, body: object = None) -> Any:
        answer = requests.request(method, f"{self['hubspotBaseUrl']}/_standin/{path}", json=body, timeout=10)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def limits(self, from_type: str, to_type: str) -> dict[tuple[str, int], int]:
        """The limits of a pair as HubSpot has them."""
        url = f"{self['hubspotBaseUrl']}/crm/associations/2026-03/definitions/configurations/{from_type}/{to_type}"
        secrets = self.aws("secretsmanager")
        token = secrets.get_secret_value(SecretId=self["tokenSecretName"])["SecretString"]
        answer = requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=10)
        return {(row["category"], row["typeId"]): row["userEnforcedMaxToObjectIds"] for row in answer.json()["results"]}

    def queued(self) -> dict[str, int]:
        """How many messages are in each queue, whether visible, hidden or delayed."""
        counts = {}
        for name in ("queueUrl", "deadLetterQueueUrl"):
            attributes = self.aws("sqs").get_queue_attributes(QueueUrl=self[name], AttributeNames=["All"])["Attributes"]
            counts[name] = sum(int(value) for key, value in attributes.items() if key.startswith("ApproximateNumber"))
        return counts

    def drained(self) -> None:
        """Wait until both queues are empty."""
        until(lambda: not any(self.queued().values()) or None, "the queues to be empty")


def until(look: Callable[[], T | None], what: str) -> T:
    """What `look` finds, as soon as it finds something."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if (found := look()) is not None:
            return found
        time.sleep(0.2)
    raise AssertionError(f"waited {PATIENCE:.0f} seconds for {what}")


@pytest.fixture(scope="session")
def up() -> Iterator[LocalStack]:
    emulator.isolate()
    was_up = stack.EMULATOR.running() is not None
    started = datetime.now(UTC)
    firing = started + FIRES_AFTER
    try:
        with stack.exclusive() as lock:
            stack.up(None, None, f"at({firing:%Y-%m-%dT%H:%M:%S})", lock)
        yield LocalStack(json.loads(stack.STACK_FILE.read_text()), started)
    finally:
        if not was_up:
            with stack.exclusive():
                stack.down()


@pytest.fixture
def local(up: LocalStack) -> Iterator[LocalStack]:
    """The stack, with a stand-in that nobody has told to misbehave."""
    up.standin("DELETE", "faults")
    yield up
    up.standin("DELETE", "faults")
