"""Requests one after the other, and beside each what is compared with it: `python -m bench.synchronous COUNT`. Tells
the milliseconds of each and the writes of all as JSON. A process of its own, whose environment is a function's."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from uuid import uuid4

import boto3
import requests

from batch_create.handler import run
from bench.traffic import FIRST_TYPE
from bench.worker import Context
from model.outcomes import Request, Trigger
from model.validation import parse_envelope
from production import client, now, production, session
from tests.support.events import api_event

T = TypeVar("T")

WARM_UP = 20  # requests that are not counted
PAIR = "/crm/associations/2026-03/definitions/configurations/2-1/contacts"
SETTLED = ("inputs", "attempts", "hubspot", "finishedAt", "settledFence", "status", "statusKey")

dynamodb: Any = boto3.client("dynamodb")  # as boto3 makes them
table = os.environ["OUTCOMES_TABLE"]


class Writes:
    """Counts the calls by which this process's clients write, by what is written: one can write several items."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._counts = True
        for operation in ("UpdateItem", "PutItem", "BatchExecuteStatement"):
            session().events.register(f"before-call.dynamodb.{operation}", self._count)

    @contextmanager
    def not_counted(self) -> Iterator[None]:
        """What is written in this block is not ours."""
        self._counts = False
        yield
        self._counts = True

    def _count(self, **told: Any) -> None:
        if not self._counts:
            return
        asked = json.loads(told["params"]["body"])
        key = (asked.get("Key") or asked.get("Item") or {}).get("id", {}).get("S", "")
        self.counts["bucket" if key.startswith("budget#") else "ledger"] += 1


def limits(number: int) -> list[dict[str, Any]]:
    """The inputs of the n-th request: each with another number, so that each changes something."""
    return [{"category": "HUBSPOT_DEFINED", "typeId": FIRST_TYPE, "maxToObjectIds": 1 + number % 9_999}]


def through_run(number: int) -> str:
    """A request as the webhook makes it; its id."""
    body = {"fromObjectType": "2-1", "toObjectType": "contacts", "inputs": limits(number)}
    request = Request(parse_envelope(body), Trigger.WEBHOOK, str(uuid4()), now(), interactive=True)
    (ran,) = run([request], 22, production())
    if ran.outcome.status != "COMPLETE":
        raise AssertionError(f"a request ended {ran.outcome.status}: {ran.outcome.reason}")
    return request.id


def through_webhook(number: int) -> None:
    """The same by HTTP, from API Gateway's event on."""
    import webhook

    event = api_event("POST", f"{PAIR}/batch/create", body={"inputs": limits(number)}, Authorization="Bearer crm-key")
    event["requestContext"] |= {"requestId": str(uuid4()), "requestTimeEpoch": round(time.time() * 1000)}
    context: Any = Context(29)
    answer = webhook.handler(event, context)
    if answer["statusCode"] != 201:
        raise AssertionError(f"the webhook answered {answer}")


def bare_post(session: requests.Session, number: int) -> None:
    """What nobody can do without."""
    url = os.environ["HUBSPOT_BASE_URL"] + PAIR + "/batch/create"
    session.post(url, json={"inputs": limits(number)}).raise_for_status()


def bare_writes(item: dict[str, Any]) -> None:
    """Claim and settle an item like this one, and nothing else."""
    key = {"S": str(uuid4())}
    claimed = {name: value for name, value in item.items() if name not in SETTLED} | {
        "id": key,
        "status": {"S": "RUNNING"},
    }
    dynamodb.put_item(TableName=table, Item=claimed, ConditionExpression="attribute_not_exists(id)")
    settled = {name: item[name] for name in SETTLED if name in item}
    dynamodb.update_item(
        TableName=table,
        Key={"id": key},
        UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in settled),
        ConditionExpression="fence = :settledFence AND #status = :running",
        ExpressionAttributeNames={f"#{name}": name for name in settled},
        ExpressionAttributeValues={f":{name}": value for name, value in settled.items()}
        | {":running": {"S": "RUNNING"}},
    )


def measured(count: int) -> dict[str, list[float]]:
    """Milliseconds by name, and the writes of all requests of ours."""
    session = requests.Session()
    session.trust_env = False
    session.headers["Authorization"] = f"Bearer {token()}"
    times: dict[str, list[float]] = {"run": [], "webhook": [], "post": [], "writes": []}
    writes = Writes()

    def timed(name: str, what: Callable[..., T], *arguments: Any) -> T:
        started = time.perf_counter()
        done = what(*arguments)
        times[name].append((time.perf_counter() - started) * 1000)
        return done

    before = Counter(writes.counts)
    for number in range(WARM_UP + count):
        if number == WARM_UP:
            for each in times.values():
                each.clear()
            before = Counter(writes.counts)
        request_id = timed("run", through_run, 2 * number)
        timed("post", bare_post, session, 2 * number)
        item = dynamodb.get_item(TableName=table, Key={"id": {"S": request_id}})["Item"]
        with writes.not_counted():
            timed("writes", bare_writes, item)
        timed("webhook", through_webhook, 2 * number + 1)
    made = writes.counts - before
    return {**times, "ledgerWrites": [made["ledger"]], "bucketWrites": [made["bucket"]]}


def token() -> str:
    """HubSpot's token, from where the functions have it."""
    return str(client("secretsmanager").get_secret_value(SecretId=os.environ["TOKEN_SECRET"])["SecretString"])


if __name__ == "__main__":
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is logged costs its writer, and nobody reads it
    print(json.dumps(measured(int(sys.argv[1]))), file=answer)
