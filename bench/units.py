"""What one request writes to the ledger, in DynamoDB's units: run here over moto, sized by DynamoDB's rules.

`python -m bench.units` prints it. Moto keeps the items; it does not count units as DynamoDB does, so this does.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from moto import mock_aws

from aws.dynamodb import Table
from batch_create.handler import run
from bench.write_units import Indexes, Write, entry, size, write
from ledger.ledger import Ledger
from model.outcomes import Request, Trigger
from model.validation import parse_envelope
from tests.support.aws import ACCOUNT, clients, deploy, partiql
from tests.support.fakes import START, Clock, FakeHubSpot, answer, echo, ports

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import TableDescriptionTypeDef

    from hubspot_api.client import Answer
    from model.contract import LimitInput

STORED_BESIDES = 100  # bytes of each item and each entry of an index: Developer Guide, "Global Secondary Indexes"


@dataclass(frozen=True)
class Measured:
    """A request that goes well, of a pair that had one before: its two writes, the two of its pair, which is taken and
    given back, and the bytes that the request keeps in table and indexes."""

    inputs: int
    claim: Write
    settle: Write
    take: Write
    give_back: Write
    stored: int

    @property
    def units(self) -> int:
        """Of the request alone."""
        return self.claim.units + self.settle.units

    @property
    def pair_units(self) -> int:
        """Of its pair, which all requests of a run share that are for it."""
        return self.take.units + self.give_back.units


def measure(inputs: int, trigger: Trigger = Trigger.QUEUE) -> Measured:
    """A request with so many inputs, claimed, called and settled: the second of its pair, as only the first one makes
    the pair's item."""
    with mock_aws(), partiql(), patch.dict("os.environ", ACCOUNT):
        deployment = deploy(*clients())
        table = Table(deployment.dynamodb, deployment.table)
        indexes = _indexes(deployment.dynamodb.describe_table(TableName=deployment.table)["Table"])
        # As SQS names a message: that is the outcome's id.
        message_id = "059f36b4-87a3-44ab-83d2-661975830a7d"
        pair_id = "pair#default#0-3#0-1"
        claimed: dict[str, Any] = {}
        taken: dict[str, Any] = {}

        def reply(asked: Sequence[LimitInput]) -> Answer:
            claimed.update(table.get(message_id) or {})
            taken.update(table.get(pair_id) or {})
            return answer([echo(item) for item in asked], correlation_id="0b7a4c8e-2f5d-4e21-9d0a-3a7f0c1b9e64")

        limits = [{"category": "USER_DEFINED", "typeId": n, "maxToObjectIds": 5} for n in range(1, inputs + 1)]
        body = {"portal": "default", "fromObjectType": "deals", "toObjectType": "contacts", "inputs": limits}
        envelope, hubspot = parse_envelope(body), FakeHubSpot()
        deps = ports(Ledger(table, timedelta(days=400)), hubspot, Clock())
        first = Request(envelope, Trigger.QUEUE, "7f1c2f0e-64f5-4b0e-9f3a-5a1a2f9d8b11", START - timedelta(hours=1))
        run([first], 30, deps)
        free = table.get(pair_id) or {}
        hubspot.replies = [reply]
        run([Request(envelope, trigger, message_id, START)], 30, deps)
        settled, given_back = table.get(message_id) or {}, table.get(pair_id) or {}
    stored = sum(size(kept) + STORED_BESIDES for kept in (settled, *(entry(settled, kept) for kept in indexes)))
    return Measured(
        inputs,
        claim=write({}, claimed, indexes),
        settle=write(claimed, settled, indexes),
        take=write(free, taken, indexes),
        give_back=write(taken, given_back, indexes),
        stored=stored,
    )


def _indexes(table: TableDescriptionTypeDef) -> Indexes:
    own = [key["AttributeName"] for key in table["KeySchema"]]
    keys = [[key["AttributeName"] for key in index["KeySchema"]] for index in table["GlobalSecondaryIndexes"]]
    return [(*own, *names) for names in keys]


def main() -> None:
    """Print the writes of requests of several sizes."""
    logging.disable(logging.INFO)  # a line for each request, which is for CloudWatch
    writes = ("claim", "settle", "take", "give_back")
    print("inputs  " + "  ".join(f"{name}: bytes, units" for name in writes) + "  request  pair  stored bytes")
    for measured in map(measure, (1, 4, 10, 100, 500)):
        made: list[Write] = [getattr(measured, name) for name in writes]
        columns = "  ".join(f"{each.size:6} {each.table:2} + {each.indexes}" for each in made)
        print(f"{measured.inputs:6}  {columns}  {measured.units:6}  {measured.pair_units:6}  {measured.stored:6}")


if __name__ == "__main__":
    main()
