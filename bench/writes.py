"""Measure 7: ways to write many claims and settlements to the ledger."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import boto3
from botocore.config import Config

from aws.dynamodb import STATEMENTS_IN_ONE_WRITE, Table
from batch_create.plan import chunks
from bench.overhead import emulated
from bench.report import Figure, Ratio, Section
from bench.stage import stage
from bench.traffic import types
from ledger.ledger import Ledger
from local import emulator
from model.outcomes import Outcome, Request, Result, Status
from production import now
from runtime.concurrency import MAX_THREADS, side_by_side
from tests.support.fakes import request

LEASE = timedelta(minutes=2)
KEPT = timedelta(days=1)
TEXT = f"""\
Requests of three inputs are claimed and then settled, {MAX_THREADS} calls of DynamoDB at once, in three ways: one
conditional write each; {STATEMENTS_IN_ONE_WRITE} in one `BatchExecuteStatement`, whose writes have a condition each
and fail each alone, which is how the service writes; and {STATEMENTS_IN_ONE_WRITE} in one `TransactWriteItems`, of
which all fail when one does, and which DynamoDB bills at twice the write units. After each run every outcome is read
and must be complete. The table is the emulator's of `make up`, so that its time is the emulator's; the processor's
time is that of the caller."""


class Gathering:
    """In a client's place: keeps the writes asked for, so that they can go in one transaction."""

    def __init__(self) -> None:
        self.writes: list[dict[str, Any]] = []

    def put_item(self, **asked: Any) -> dict[str, Any]:
        """Keep a put."""
        self.writes.append({"Put": asked})
        return {}

    def update_item(self, **asked: Any) -> dict[str, Any]:
        """Keep an update. In a transaction it returns nothing; what it makes of an item that is new is told here."""
        self.writes.append({"Update": {name: value for name, value in asked.items() if name != "ReturnValues"}})
        names, values = asked["ExpressionAttributeNames"].values(), asked["ExpressionAttributeValues"]
        made = {name: values[f":{name}"] for name in names if f":{name}" in values}
        return {"Attributes": {**asked["Key"], **made, "fence": {"N": "1"}}}


def measure(quick: bool) -> Section:
    """Milliseconds for each request, by the clock and of the processor."""
    count, runs = (100, 1) if quick else (1_000, 3)
    with stage(types(1)) as set_up, emulated(set_up) as environment:
        client: Any = boto3.client(
            "dynamodb",
            endpoint_url=environment["AWS_ENDPOINT_URL"],
            region_name=emulator.REGION,
            aws_access_key_id=emulator.ACCOUNT,
            aws_secret_access_key="local",
            config=Config(parameter_validation=False, max_pool_connections=MAX_THREADS),  # as the functions' own
        )
        table = environment["OUTCOMES_TABLE"]
        ledger = Ledger(Table(client, table), KEPT)
        ways: dict[str, Callable[[Sequence[Request]], None]] = {
            "one conditional write each": partial(one_by_one, ledger),
            "many in one BatchExecuteStatement": partial(many, ledger),
            "many in one TransactWriteItems": partial(transactions, client, table),
        }
        took = {name: [_measured(way, ledger, count) for _ in range(runs)] for name, way in ways.items()}
    clock = {name: Figure(f"{name}: time of a request", "ms", tuple(c for c, _ in of)) for name, of in took.items()}
    cpu = {name: Figure(f"{name}: processor", "ms", tuple(p for _, p in of)) for name, of in took.items()}
    each, batch, transaction = ways
    ratios = (
        Ratio("processor, BatchExecuteStatement / one write each", cpu[batch], cpu[each], None),
        Ratio("processor, TransactWriteItems / one write each", cpu[transaction], cpu[each], None),
        Ratio("time, BatchExecuteStatement / one write each", clock[batch], clock[each], None),
        Ratio("time, TransactWriteItems / one write each", clock[transaction], clock[each], None),
    )
    return Section("Ways to write the ledger", TEXT, (*clock.values(), *cpu.values()), ratios, ())


def one_by_one(ledger: Ledger, requests: Sequence[Request]) -> None:
    """Claim each, then settle each."""

    def claim(some: Sequence[Request]) -> list[Outcome]:
        return [ledger.claim(each, "worker", now(), now() + LEASE).outcome for each in some]

    def settle(some: Sequence[Outcome]) -> None:
        for outcome in some:
            ledger.settle(outcome, 1)

    _both(requests, claim, settle)


def many(ledger: Ledger, requests: Sequence[Request]) -> None:
    """Claim and settle as many in one call as there may be."""

    def claim(some: Sequence[Request]) -> list[Outcome]:
        return [claim.outcome for claim in ledger.claim_new(some, "worker", now(), now() + LEASE) if claim]

    def settle(some: Sequence[Outcome]) -> None:
        ledger.settle_many([(outcome, 1) for outcome in some])

    _both(requests, claim, settle)


def transactions(client: Any, table: str, requests: Sequence[Request]) -> None:
    """The same in transactions."""

    def claim(some: Sequence[Request]) -> list[Outcome]:
        gathering: Any = Gathering()
        ledger = Ledger(Table(gathering, table), KEPT)
        outcomes = [ledger.claim(each, "worker", now(), now() + LEASE).outcome for each in some]
        client.transact_write_items(TransactItems=gathering.writes)
        return outcomes

    def settle(some: Sequence[Outcome]) -> None:
        gathering: Any = Gathering()
        ledger = Ledger(Table(gathering, table), KEPT)
        for outcome in some:
            ledger.settle(outcome, 1)
        client.transact_write_items(TransactItems=gathering.writes)

    _both(requests, claim, settle)


def _both(
    requests: Sequence[Request],
    claim: Callable[[Sequence[Request]], list[Outcome]],
    settle: Callable[[Sequence[Outcome]], None],
) -> None:
    """Claim all and settle all, chunks of them side by side."""
    claimed: list[Outcome] = []

    def claim_some(some: Sequence[Request]) -> None:
        claimed.extend(_complete(outcome) for outcome in claim(some))

    side_by_side([partial(claim_some, some) for some in chunks(requests, STATEMENTS_IN_ONE_WRITE)])
    side_by_side([partial(settle, some) for some in chunks(claimed, STATEMENTS_IN_ONE_WRITE)])


def _complete(outcome: Outcome) -> Outcome:
    inputs = tuple(replace(item, result=Result.APPLIED) for item in outcome.inputs)
    return replace(outcome, status=Status.COMPLETE, finished_at=now(), inputs=inputs)


def _measured(way: Callable[[Sequence[Request]], None], ledger: Ledger, count: int) -> tuple[float, float]:
    """Milliseconds for each request by the clock and of the processor. Raises AssertionError if one is not written."""
    requests = [request(uuid4().hex, (3, 5), (4, 6), (5, 7)) for _ in range(count)]
    started, processor = time.perf_counter(), time.process_time()
    way(requests)
    took = time.perf_counter() - started, time.process_time() - processor
    for each in requests:
        outcome = ledger.get(each.id)
        if outcome is None or outcome.status is not Status.COMPLETE:
            raise AssertionError(f"{each.id} was not claimed and settled: {outcome}")
    clock, cpu = (1_000 * seconds / count for seconds in took)
    return clock, cpu
