"""An AWS that costs next to nothing: `python -m bench.aws`. A table, secrets and a queue in AWS's JSON protocol.

An emulator takes longer for a write than DynamoDB itself, and on one machine with it everybody would be measured by
that. This one answers after `--latency-ms`, the same for all, with conditional writes (bench/table.py).
Many writes in one call take as long as one after the other would, so that nobody gains by what DynamoDB may do at once.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from botocore.exceptions import ClientError

from bench.table import Table
from local.processes import HOST

# What changes something for others; of reading a secret nobody else knows.
WRITES = frozenset(
    {
        "PutItem",
        "UpdateItem",
        "BatchExecuteStatement",
        "SendMessage",
        "SendMessageBatch",
        "ChangeMessageVisibilityBatch",
    }
)
HEAD = b"HTTP/1.1 %d OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: %d\r\n\r\n"
Values = dict[str, Any]


class Services:
    """What is behind the endpoint. `counts` has all calls, those of the table by their key's prefix; `first_write` is
    when the first write came, by `time.perf_counter`, which is one clock for all processes of a machine."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._secrets: dict[str, str] = {}
        self._table = Table()
        self._postponed: dict[str, float] = {}
        self._sent: list[Values] = []
        self.counts: Counter[str] = Counter()
        self.first_write: float | None = None
        self._operations: dict[str, Callable[[Values], Values]] = {
            "GetSecretValue": self._secret_value,
            "SendMessage": self._send,
            "SendMessageBatch": self._send_many,
            "ChangeMessageVisibilityBatch": self._postpone,
            "Reset": self._reset,  # these two AWS has not
            "Sent": self._take_sent,
        }

    def answer(self, target: str, body: bytes) -> tuple[int, Values, int]:
        """HTTP status and body for a call, by its X-Amz-Target, and how many operations one after the other it was;
        without one, what was counted and postponed, and when the first write came."""
        moment = time.perf_counter()
        if not target:
            told = {"counts": self.counts, "units": self._table.units, "postponed": self._postponed}
            return 200, {**told, "firstWrite": self.first_write}, 0
        name = target.rpartition(".")[2]
        if name in WRITES and self.first_write is None:
            self.first_write = moment
        asked: Values = json.loads(body)
        try:
            operation = self._operations.get(name)
            answer = operation(asked) if operation else self._table.answer(name, asked)
        except ClientError as error:
            response: Values = {**error.response}
            code = response["Error"]["Code"]
            return 400, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "Item": response.get("Item")}, 1
        finally:
            self.counts[self._counted(name, asked)] += 1
            self._table.writes.clear()  # the simulation's record of them
        return 200, answer, len(asked["Statements"]) if "Statements" in asked else 1

    def _reset(self, asked: Values) -> Values:
        """Begin anew with these items and, by name, texts of secrets; what items there were."""
        before = list(self._table.items.values())
        self._table = Table()
        self._secrets = asked["secrets"]
        self._postponed.clear()
        self._sent.clear()
        self.counts.clear()
        self.first_write = None
        for item in asked["items"]:
            self._table.answer("PutItem", {"Item": item})
        return {"items": before}

    def _secret_value(self, asked: Values) -> Values:
        name = asked["SecretId"]
        return {"Name": name, "VersionId": "1", "SecretString": self._secrets.get(name, self._secret)}

    def _send(self, asked: Values) -> Values:
        message_id, delay = str(uuid4()), asked.get("DelaySeconds", 0)
        attributes = {
            name: {"stringValue": value["StringValue"], "dataType": value["DataType"]}
            for name, value in asked.get("MessageAttributes", {}).items()
        }
        told = {"messageId": message_id, "body": asked["MessageBody"], "messageAttributes": attributes, "delay": delay}
        self._sent.append(told)
        digest = hashlib.md5(asked["MessageBody"].encode(), usedforsecurity=False).hexdigest()
        return {"MessageId": message_id, "MD5OfMessageBody": digest}

    def _send_many(self, asked: Values) -> Values:
        return {"Successful": [{"Id": entry["Id"], **self._send(entry)} for entry in asked["Entries"]], "Failed": []}

    def _take_sent(self, asked: Values) -> Values:
        """The messages that were sent since this was asked last, each with the seconds until it is visible."""
        sent, self._sent = self._sent, []
        return {"messages": sent}

    def _counted(self, name: str, asked: Values) -> str:
        key = (asked.get("Key") or asked.get("Item") or {}).get("id", {}).get("S", "")
        prefix, mark, _ = key.partition("#")
        return f"{name} {prefix}" if mark else name

    def _postpone(self, asked: Values) -> Values:
        for entry in asked["Entries"]:
            self._postponed[entry["ReceiptHandle"]] = time.time() + entry["VisibilityTimeout"]
        return {"Successful": [{"Id": entry["Id"]} for entry in asked["Entries"]], "Failed": []}


class Connection(asyncio.Protocol):
    """As much of HTTP/1.1 as botocore speaks: one call after the other, each with a length."""

    def __init__(self, services: Services, latency: float) -> None:
        self._services = services
        self._latency = latency
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer as soon as a call is whole."""
        self._received += data
        head, mark, body = self._received.partition(b"\r\n\r\n")
        if not mark:
            return
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in head.split(b"\r\n"))
        }
        if len(body) < int(headers.get(b"content-length", b"0")):
            return
        self._received = b""
        status, answer, operations = self._services.answer(headers.get(b"x-amz-target", b"").decode(), body)
        text = json.dumps(answer, separators=(",", ":")).encode()
        # The answer is ready and only waits, as the calls of others do meanwhile.
        loop = asyncio.get_running_loop()
        loop.call_later(self._latency * operations, self._transport.write, HEAD % (status, len(text)) + text)


async def serve(port: int, secret: str, latency: float) -> None:
    """Answer on loopback until the process ends. `latency` in seconds."""
    services = Services(secret)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(services, latency), HOST, port)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.aws", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--secret", required=True, help="the text of every secret that has none of its own")
    parser.add_argument("--latency-ms", type=float, required=True, help="between a call and its answer")
    options = parser.parse_args()
    asyncio.run(serve(options.port, options.secret, options.latency_ms / 1000))
