"""The really deployed local stack, and the clients of one who uses it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

import boto3
import requests

from batch_create.handler import LEASE_GRACE
from local import emulator, stack

T = TypeVar("T")

FINAL = {"COMPLETE", "PARTIAL", "REJECTED", "UNCONFIRMED", "FAILED"}
PATIENCE = 90.0  # seconds; far more than anything here takes, for a machine that is busy with other things
_making = threading.Lock()  # clients are for all threads, their making is for one
_up: list[LocalStack] = []


@dataclass(frozen=True)
class LocalStack:
    """What `.local/stack.json` says, and the clients of one who uses it."""

    described: dict[str, str]
    started: datetime
    api: requests.Session = field(default_factory=requests.Session)
    clients: dict[str, Any] = field(default_factory=dict)
    answers: list[str] = field(default_factory=list)  # of the API, for who looks at them all

    def __getitem__(self, name: str) -> str:
        return self.described[name]

    def aws(self, service: str) -> Any:
        make: Any = boto3.client  # for any service, where its types know each by name
        with _making:
            if service not in self.clients:
                self.clients[service] = make(
                    service,
                    endpoint_url=self["awsEndpointUrl"],
                    region_name=self["region"],
                    aws_access_key_id=emulator.ACCOUNT,
                    aws_secret_access_key="local",
                )
        return self.clients[service]

    def call(self, method: str, path: str, **rest: Any) -> requests.Response:
        """A call of the API with the client key, unless `headers` bring another."""
        headers = {"Authorization": f"Bearer {self['clientKey']}"} | rest.pop("headers", {})
        answer = self.api.request(method, self["apiUrl"] + path, headers=headers, timeout=40, **rest)
        self.answers.append(f"{answer.headers}\n{answer.text}")
        return answer

    def create(self, from_type: str, to_type: str, *limits: dict[str, Any], **headers: str) -> requests.Response:
        path = f"/crm/associations/2026-03/definitions/configurations/{from_type}/{to_type}/batch/create"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.call("POST", path, json={"inputs": list(limits)}, headers=named)

    def send(self, body: object, queue: str = "queueUrl") -> str:
        """Put a message on a queue; its id, which is its outcome's."""
        text = body if isinstance(body, str) else json.dumps(body)
        answer = self.aws("sqs").send_message(QueueUrl=self[queue], MessageBody=text)
        return str(answer["MessageId"])

    def function(self, handler: str) -> dict[str, Any]:
        """The configuration of the deployed function with this handler, such as `consumer.handler`."""
        functions: list[dict[str, Any]] = self.aws("lambda").list_functions()["Functions"]
        return next(function for function in functions if function["Handler"] == handler)

    def outcome(self, outcome_id: str) -> dict[str, Any] | None:
        answer = self.call("GET", f"/outcomes/{outcome_id}")
        return answer.json() if answer.status_code == 200 else None

    def final(self, outcome_id: str, patience: float = PATIENCE) -> dict[str, Any]:
        """The outcome, once it is final."""

        def look() -> dict[str, Any] | None:
            outcome = self.outcome(outcome_id)
            return outcome if outcome and outcome["status"] in FINAL else None

        return until(look, f"outcome {outcome_id} to become final", patience)

    def scheduled(self) -> dict[str, Any]:
        """The outcome of the schedule of limits/deals-to-contacts.yaml, once it has fired."""

        def look() -> dict[str, Any] | None:
            query = {"from": "deals", "to": "contacts", "since": self.started.isoformat()}
            found = self.call("GET", "/outcomes", params=query).json()["results"]
            return next((outcome for outcome in found if outcome["trigger"] == "schedule"), None)

        return until(look, "the schedule to fire")

    def standin(self, method: str, path: str, body: object = None) -> Any:
        answer = requests.request(method, f"{self['hubspotBaseUrl']}/_standin/{path}", json=body, timeout=60)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def calls(self) -> list[str]:
        """The operations of all calls that the stand-in's journal has."""
        return [str(entry["operation"]) for entry in self.standin("GET", "journal")["entries"]]

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
        # A second message of a request that is being run waits for the end of the first one's lease.
        lease = self.function("consumer.handler")["Timeout"] + LEASE_GRACE.total_seconds()
        until(lambda: not any(self.queued().values()) or None, "the queues to be empty", lease + PATIENCE)


def until(look: Callable[[], T | None], what: str, patience: float = PATIENCE) -> T:
    """What `look` finds, as soon as it finds something."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if (found := look()) is not None:
            return found
        time.sleep(0.2)
    raise AssertionError(f"waited {patience:.0f} seconds for {what}")


@contextmanager
def deployed(schedule: str | None = None) -> Iterator[LocalStack]:
    """The stack brought up to date, all schedules with the expression `schedule` if there is one; down again
    afterwards, unless it was up before. What this process has brought up already is used as it is.

    Raises ServerFailed and DeploymentFailed.
    """
    if _up:
        yield _up[0]
        return
    emulator.isolate()
    was_up = stack.EMULATOR.running() is not None
    started = datetime.now(UTC)
    try:
        with stack.exclusive() as lock:
            stack.up(None, None, schedule, lock)
        _up.append(LocalStack(json.loads(stack.STACK_FILE.read_text()), started))
        yield _up[0]
    finally:
        _up.clear()
        if not was_up:
            with stack.exclusive():
                stack.down()
