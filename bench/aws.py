"""An AWS that costs next to nothing: `python -m bench.aws`. One table, one secret and one queue in AWS's JSON protocol.

An emulator takes longer for a write than DynamoDB itself, and on one machine with it everybody would be measured by
that. This one answers after `--latency-ms`, the same for all, with the conditional writes of the simulation's table.
Many writes in one call take as long as one after the other would, so that nobody gains by what DynamoDB may do at once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from local.processes import HOST
from tests.simulation.dynamo import Dynamo

ANY = "attribute_exists(id) OR attribute_not_exists(id)"  # the condition of a write without one
HEAD = b"HTTP/1.1 %d OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: %d\r\n\r\n"
Values = dict[str, Any]


class Services:
    """What is behind the endpoint. `counts` has all calls, those of the table by their key's prefix."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._table = Dynamo(lambda operation: "", time.time, index_lag=0)
        self._postponed: dict[str, float] = {}
        self.counts: Counter[str] = Counter()
        self._operations: dict[str, Callable[[Values], Values]] = {
            "GetItem": lambda asked: self._table.get_item(**asked),
            "BatchGetItem": lambda asked: self._table.batch_get_item(**asked),
            "PutItem": lambda asked: self._table.put_item(**{"ConditionExpression": ANY, **asked}),
            "UpdateItem": lambda asked: self._table.update_item(**asked),
            "BatchExecuteStatement": lambda asked: self._table.batch_execute_statement(**asked),
            "Query": lambda asked: self._table.query(**asked),
            "GetSecretValue": lambda asked: {"Name": asked["SecretId"], "VersionId": "1", "SecretString": self._secret},
            "ChangeMessageVisibilityBatch": self._postpone,
        }

    def answer(self, target: str, body: bytes) -> tuple[int, Values, int]:
        """HTTP status and body for a call, by its X-Amz-Target, and how many operations one after the other it was;
        without one, what was counted and postponed."""
        if not target:
            return 200, {"counts": self.counts, "postponed": self._postponed}, 0
        name = target.rpartition(".")[2]
        asked: Values = json.loads(body)
        try:
            answer = self._operations[name](asked)
        except ClientError as error:
            response: Values = {**error.response}
            code = response["Error"]["Code"]
            return 400, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "Item": response.get("Item")}, 1
        finally:
            self.counts[self._counted(name, asked)] += 1
            self._table.writes.clear()  # the simulation's record of them
        return 200, answer, len(asked["Statements"]) if "Statements" in asked else 1

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
    parser.add_argument("--secret", required=True, help="the text of every secret")
    parser.add_argument("--latency-ms", type=float, required=True, help="between a call and its answer")
    options = parser.parse_args()
    asyncio.run(serve(options.port, options.secret, options.latency_ms / 1000))
