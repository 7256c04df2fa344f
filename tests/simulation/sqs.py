"""SQS as its documentation has it, and Lambda's poller: standard queues that redeliver, duplicate and reorder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.simulation.dynamo import client_error
from tests.simulation.world import World

RETENTION = 14 * 86_400
LONGEST_VISIBILITY = 43_200
Failures = dict[str, list[dict[str, str]]]
Invoke = Callable[[dict[str, Any], Callable[[Failures | None], None]], None]


@dataclass
class Message:
    """One message, in whichever queue it is. `receipts` are the moments of its receipts that can still be used."""

    id: str
    body: str
    attributes: dict[str, Any]
    sent_at: float
    visible_at: float
    receives: int = 0
    received_at: float = 0
    receipt: str = ""
    history: list[tuple[float, str]] = field(default_factory=list)
    sent_timestamp: float = 0  # as the queue's own clock has it


class Queue:
    """One queue. `duplicates` is the share of receipts after which a message is visible all the same. Its clock is
    wrong by `skew` seconds at most. `moved_back` is told each message that has become a dead letter, and answers
    whether an operator has moved it back."""

    def __init__(
        self,
        world: World,
        name: str,
        visibility: float,
        max_receives: int | None = None,
        dead_letters: Queue | None = None,
        duplicates: float = 0,
        skew: float = 0,
    ) -> None:
        self.name = name
        self.messages: dict[str, Message] = {}
        self.arrived: list[Message] = []
        self.max_receives = max_receives
        self.dead_letters = dead_letters
        self.wake: Callable[[], None] = lambda: None
        self._world = world
        self._visibility = visibility
        self._duplicates = duplicates
        self._skew = skew
        self.moved_back: Callable[[Message], bool] = lambda message: False

    def put(self, message: Message) -> None:
        """Let a message be in this queue."""
        self.messages[message.id] = message
        self.arrived.append(message)
        self._world.at(message.visible_at, self.wake)

    def send(self, body: str, attributes: dict[str, Any], delay: float = 0) -> str:
        """A new message; its id."""
        now = self._world.now
        message = Message(self._world.new_id(), body, attributes, now, now + delay)
        message.sent_timestamp = now + (self._world.random.uniform(-self._skew, self._skew) if self._skew else 0)
        self.put(message)
        return message.id

    def receive(self, most: int) -> list[dict[str, Any]]:
        """Some of the visible messages, in no order, as a Lambda event has them."""
        now, world = self._world.now, self._world
        visible = [message for message in self.messages.values() if message.visible_at <= now]
        world.random.shuffle(visible)
        records = []
        for message in visible[:most]:
            if now - message.sent_at > RETENTION:
                del self.messages[message.id]
                continue
            if self.max_receives is not None and self.dead_letters and message.receives >= self.max_receives:
                del self.messages[message.id]
                message.visible_at = now  # its receives are counted on
                message.history.append((now, "became a dead letter"))
                if self.moved_back(message):
                    self.dead_letters.arrived.append(message)
                else:
                    self.dead_letters.put(message)
                continue
            message.receives += 1
            message.received_at, message.receipt = now, world.new_id()
            message.visible_at = now if world.chance(self._duplicates) else now + self._visibility
            message.history.append((now, f"receive {message.receives}"))
            world.at(message.visible_at, self.wake)
            records.append(self._record(message))
        return records

    def delete(self, message_id: str) -> None:
        """Be done with a message."""
        self.messages.pop(message_id, None)

    def hide(self, receipt: str, seconds: float) -> bool:
        """Keep a received message hidden from now on for so long; False where that is longer than SQS allows."""
        message = next((m for m in self.messages.values() if m.receipt == receipt), None)
        if message is None:
            return True  # deleted, or received again since: AWS takes the call all the same
        if self._world.now + seconds - message.received_at > LONGEST_VISIBILITY:
            return False
        message.visible_at = self._world.now + seconds
        message.history.append((self._world.now, f"hidden for {seconds:.0f} s"))
        self._world.at(message.visible_at, self.wake)
        return True

    def _record(self, message: Message) -> dict[str, Any]:
        return {
            "messageId": message.id,
            "receiptHandle": message.receipt,
            "body": message.body,
            "attributes": {
                "SentTimestamp": str(int(message.sent_timestamp * 1000)),
                "ApproximateReceiveCount": str(message.receives),
            },
            "messageAttributes": {
                name: {"stringValue": value["StringValue"], "dataType": "String"}
                for name, value in message.attributes.items()
            },
        }


class Sqs:
    """The client, for the main queue. `step` is called before and after, as in Dynamo."""

    def __init__(self, queue: Queue, step: Callable[[str], str]) -> None:
        self._queue = queue
        self._step = step

    def send_message(self, *, MessageBody: str, DelaySeconds: int, MessageAttributes: Any, **rest: Any) -> None:
        if self._step("send_message") == "throttled":
            raise client_error("send_message", "ThrottlingException")
        self._queue.send(MessageBody, MessageAttributes, DelaySeconds)
        became = self._step("send_message answered")
        if became == "retried":
            self._queue.send(MessageBody, MessageAttributes, DelaySeconds)  # a message of its own
        if became == "lost":
            raise client_error("send_message", "InternalFailure", 500)

    def send_message_batch(self, *, Entries: list[dict[str, Any]], **rest: Any) -> dict[str, Any]:
        if self._step("send_message_batch") == "throttled":
            raise client_error("send_message_batch", "ThrottlingException")
        refused = [one for one in Entries if self._step("an entry of it") == "throttled"]
        taken = [one for one in Entries if one not in refused]
        self._send_all(taken)
        became = self._step("send_message_batch answered")
        if became == "retried":
            self._send_all(taken)
        if became == "lost":
            raise client_error("send_message_batch", "InternalFailure", 500)
        return {
            "Successful": [{"Id": one["Id"]} for one in taken],
            "Failed": [{"Id": one["Id"], "Code": "InternalError"} for one in refused],
        }

    def _send_all(self, entries: list[dict[str, Any]]) -> None:
        for one in entries:
            self._queue.send(one["MessageBody"], one["MessageAttributes"], one["DelaySeconds"])

    def change_message_visibility_batch(self, *, Entries: list[dict[str, Any]], **rest: Any) -> dict[str, Any]:
        if self._step("change_message_visibility_batch") == "throttled":
            raise client_error("change_message_visibility_batch", "ThrottlingException")
        refused = [one for one in Entries if not self._queue.hide(one["ReceiptHandle"], one["VisibilityTimeout"])]
        return {"Failed": [{"Id": one["Id"], "Code": "InvalidParameterValue"} for one in refused]}


class Mapping:
    """Lambda's event source mapping with ReportBatchItemFailures: invokes a function with batches of a queue."""

    def __init__(self, world: World, queue: Queue, invoke: Invoke, batch: int, concurrency: int) -> None:
        self._world = world
        self._queue = queue
        self._invoke = invoke
        self._batch = batch
        self._concurrency = concurrency
        self._running = 0
        queue.wake = self._poll

    def _poll(self) -> None:
        while self._running < self._concurrency:
            records = self._queue.receive(self._world.random.randint(1, self._batch))
            if not records:
                return
            self._running += 1
            self._invoke({"Records": records}, partial(self._ended, records))

    def _ended(self, records: list[dict[str, Any]], failures: Failures | None) -> None:
        self._running -= 1
        if failures is not None:
            kept = {failure["itemIdentifier"] for failure in failures["batchItemFailures"]}
            for record in records:
                if record["messageId"] not in kept:
                    self._queue.delete(record["messageId"])
        self._poll()
