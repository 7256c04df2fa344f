"""The requests of a campaign on their ways in, and what their callers were told."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import requests

from tests.e2e.deployed import LocalStack
from tests.faults.plan import Ask

CALLERS = 4  # over HTTP at a time
TRIES = 20  # of a caller who has a key and got no answer
LONGEST_PAUSE = 8.0  # seconds between two tries
MESSAGES_IN_ONE_SEND = 10  # SQS's maximum


@dataclass(frozen=True)
class Reply:
    """An answer over HTTP: its status and text, and the outcome that it names."""

    ask: Ask
    status: int
    text: str
    outcome_id: str | None
    replayed: bool


@dataclass
class Promises:
    """What callers were told: `accepted` are outcomes with the requests that they are for, `unanswered` the requests
    whose caller never heard whether they were taken."""

    accepted: dict[str, list[Ask]] = field(default_factory=lambda: defaultdict(list))
    messages: dict[str, Ask] = field(default_factory=dict)
    replies: list[Reply] = field(default_factory=list)
    unanswered: list[Ask] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def accept(self, outcome_id: str, ask: Ask) -> None:
        with self.lock:
            self.accepted[outcome_id].append(ask)


class Senders:
    """Sends requests in the background, each kind on its own way. Use as a context."""

    def __init__(self, local: LocalStack, promises: Promises) -> None:
        self._local = local
        self._promises = promises
        self._pool = ThreadPoolExecutor(CALLERS, thread_name_prefix="caller")
        self._waiting: list[Future[None]] = []
        self._here = threading.local()
        self._run = uuid4().hex[:8]
        self._scheduled = str(local.function("scheduled.handler")["FunctionName"])

    def __enter__(self) -> Senders:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def send(self, asks: list[Ask]) -> None:
        """Put messages on the queue, and let callers begin with the others."""
        asks = [ask.of(self._run) for ask in asks]
        queued = [ask for ask in asks if ask.way == "queue"]
        for start in range(0, len(queued), MESSAGES_IN_ONE_SEND):
            self._enqueue(queued[start : start + MESSAGES_IN_ONE_SEND])
        ways: dict[str, Callable[[Ask], None]] = {
            "webhook": self._call,
            "async": self._call,
            "schedule": self._fire,
            "rule": self._fire,
        }
        self._waiting += [self._pool.submit(ways[ask.way], ask) for ask in asks if ask.way in ways]

    @property
    def busy(self) -> int:
        """How many callers wait for an answer, or for their turn. Raises what went wrong with one."""
        for future in [future for future in self._waiting if future.done()]:
            self._waiting.remove(future)
            future.result()
        return len(self._waiting)

    def _enqueue(self, asks: list[Ask]) -> None:
        entries = []
        for ask in asks:
            value = ask.envelope | ({"idempotencyKey": ask.key} if ask.key else {})
            entries.append({"Id": str(ask.number), "MessageBody": ask.body or json.dumps(value)})
        answer = self._local.aws("sqs").send_message_batch(QueueUrl=self._local["queueUrl"], Entries=entries)
        assert not answer.get("Failed"), answer
        by_number = {str(ask.number): ask for ask in asks}
        for sent in answer["Successful"]:
            ask = by_number[sent["Id"]]
            self._promises.messages[sent["MessageId"]] = ask
            self._promises.accept(ask.keyed_id or sent["MessageId"], ask)

    def _fire(self, ask: Ask) -> None:
        event: dict[str, Any] = ask.envelope | ({"idempotencyKey": ask.key} if ask.key else {})
        outcome_id = ask.keyed_id
        if ask.way == "rule":
            own_id = f"rule-{ask.number}-{time.time_ns()}"
            event = {
                "id": own_id,
                "detail-type": "limits wanted",
                "source": "campaign",
                "time": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
                "detail": event,
            }
            outcome_id = outcome_id or own_id
        assert outcome_id
        # As EventBridge does it: Lambda takes the event, and tries it three times.
        client = self._local.aws("lambda")
        answer = client.invoke(FunctionName=self._scheduled, InvocationType="Event", Payload=json.dumps(event))
        assert answer["StatusCode"] == 202, answer
        self._promises.accept(outcome_id, ask)

    def _call(self, ask: Ask) -> None:
        for attempt in range(1, TRIES + 1):
            reply = self._answer(ask)
            taken = reply is not None and reply.outcome_id and reply.status != 409
            if reply is not None and taken and reply.outcome_id:
                self._promises.accept(reply.outcome_id, ask)
            if reply is not None and (taken or reply.status in (400, 422)):
                with self._promises.lock:
                    self._promises.replies.append(reply)
                return
            if ask.key is None:
                break  # whoever repeats this may be doing it twice, and knows that
            time.sleep(min(LONGEST_PAUSE, attempt))
        with self._promises.lock:
            self._promises.unanswered.append(ask)

    def _answer(self, ask: Ask) -> Reply | None:
        """An answer of the service's own; None where something before it answered, or nothing."""
        headers = {"Authorization": f"Bearer {self._local['clientKey']}"}
        if ask.key:
            headers["Idempotency-Key"] = ask.key
        if ask.way == "async":
            headers["Prefer"] = "respond-async"
        path = "/crm/associations/2026-03/definitions/configurations/{}/{}/batch/create".format(*ask.pair)
        body = {"inputs": ask.envelope["inputs"]}
        try:
            answer = self._session().post(self._local["apiUrl"] + path, json=body, headers=headers, timeout=45)
        except requests.RequestException:
            return None
        outcome_id = answer.headers.get("Outcome-Id")
        if outcome_id is None and answer.status_code not in (400, 422):
            return None
        replayed = answer.headers.get("Idempotency-Replayed") == "true"
        return Reply(ask, answer.status_code, answer.text, outcome_id, replayed)

    def _session(self) -> requests.Session:
        if not hasattr(self._here, "session"):
            self._here.session = requests.Session()
            self._here.session.trust_env = False
        session: requests.Session = self._here.session
        return session
