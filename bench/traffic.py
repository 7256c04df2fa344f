"""The messages that all contestants are given, and the fewest calls that carry them. Pure.

Some pairs are busy and most are not: the n-th of 40 is asked for as often as 1/n (Zipf's law, which traffic by customer
or object follows closely in practice). A message sets three of its pair's eight limits; every third says again what
the last one of its pair said, as systems do that send their whole state whenever anything has changed.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from random import Random
from typing import Any
from uuid import UUID

PAIRS = 40
TYPES = 8  # of each pair: one without a label, whose limit is the object limit, and seven labels
INPUTS = 3
REPEATS = 1 / 3
FIRST_TYPE = 1001  # of the pairs' own types; no number of HubSpot's
OBJECT_LIMITS, LABEL_LIMITS = (5_000, 9_999), (1, 4_999)  # apart, so that no label is refused for being above

Record = dict[str, Any]  # one of an SQS event


@dataclass(frozen=True)
class AssociationType:
    """A type between two object types, as the stand-in is told it."""

    from_object_type: str
    to_object_type: str
    category: str
    type_id: int
    label: str | None


def types(of_each: int = TYPES) -> Iterator[AssociationType]:
    """Every type that messages ask for. The pairs are of custom objects, so that there can be as many as are wanted."""
    for pair in range(PAIRS):
        for number in range(of_each):
            label = f"Label {number}" if number else None
            category = "USER_DEFINED" if number else "HUBSPOT_DEFINED"
            yield AssociationType(f"2-{pair + 1}", "contacts", category, FIRST_TYPE + number, label)


def messages(count: int, sent_at: float, seed: int = 1, inputs: int = INPUTS) -> list[Record]:
    """`count` records of SQS events, sent one a millisecond from `sent_at` (epoch seconds) on."""
    random = Random(seed)
    known = defaultdict(list)
    for each in types():
        known[each.from_object_type].append(each)
    pairs = [*known]
    weights = [1 / rank for rank in range(1, len(pairs) + 1)]
    last: dict[str, list[dict[str, Any]]] = {}
    made = []
    for number, pair in enumerate(random.choices(pairs, weights, k=count)):
        if pair not in last or random.random() >= REPEATS:
            last[pair] = [limit_input(each, random) for each in random.sample(known[pair], inputs)]
        body = {"portal": "default", "fromObjectType": pair, "toObjectType": "contacts", "inputs": last[pair]}
        made.append(record(body, UUID(int=random.getrandbits(128), version=4), sent_at + number / 1000))
    return made


def distinct_messages(of_each: int, sent_at: float, seed: int = 1) -> list[Record]:
    """One record for each type, so that nothing can be folded and a load stays a load; neighbours of other pairs."""
    random = Random(seed)
    made = []
    for number, each in enumerate(sorted(types(of_each), key=lambda each: each.type_id)):
        body = {"portal": "default", "fromObjectType": each.from_object_type, "toObjectType": each.to_object_type}
        message_id = UUID(int=random.getrandbits(128), version=4)
        made.append(record({**body, "inputs": [limit_input(each, random)]}, message_id, sent_at + number / 1000))
    return made


def record(body: dict[str, Any], message_id: UUID, sent_at: float) -> Record:
    """A message as the event source mapping delivers it."""
    sent = str(round(sent_at * 1000))
    return {
        "messageId": str(message_id),
        "receiptHandle": str(message_id),
        "body": json.dumps(body),
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": sent,
            "SenderId": "AIDAIENQZJOLO23YVJ4VO",
            "ApproximateFirstReceiveTimestamp": sent,
        },
        "messageAttributes": {},
        "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:requests",
        "awsRegion": "us-east-1",
    }


def again(told: dict[str, Any], sent_at: float) -> Record:
    """A message that a handler has sent, as the event source mapping delivers it."""
    made = record({}, UUID(told["messageId"]), sent_at)
    return made | {"body": told["body"], "messageAttributes": told["messageAttributes"]}


def fewest_calls(batches: Iterable[Sequence[Record]], batch_size: int) -> int:
    """The least calls that carry batches, each by itself: for each pair its distinct limits by the batch size."""
    return sum(_calls(batch, batch_size) for batch in batches)


def _calls(batch: Sequence[Record], batch_size: int) -> int:
    limits: dict[tuple[str, str, str], set[tuple[str, int]]] = defaultdict(set)
    for each in batch:
        body = json.loads(each["body"])
        pair = (body["portal"], body["fromObjectType"], body["toObjectType"])
        limits[pair].update((asked["category"], asked["typeId"]) for asked in body["inputs"])
    return sum(ceil(len(keys) / batch_size) for keys in limits.values())


def limit_input(of: AssociationType, random: Random) -> dict[str, Any]:
    """An input that sets a type's limit to some number, which no other limit of the pair forbids."""
    limits = LABEL_LIMITS if of.label else OBJECT_LIMITS
    return {"category": of.category, "typeId": of.type_id, "maxToObjectIds": random.randint(*limits)}
