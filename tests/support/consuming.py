"""The consumer, as SQS invokes it, and pairs that others hold."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import consumer
import production
from ledger.leases import Lease, Wanted
from model.pair import Pair
from tests.support.events import Context
from tests.support.fakes import Clock

DEALS_TO_CONTACTS = Pair("0-3", "0-1")


def consume(event: dict[str, Any]) -> list[str]:
    """The ids of the messages that come back."""
    answer = consumer.handler(event, Context(time_left=60_000))
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def held(pair: Pair, clock: Clock) -> Lease:
    """A pair in another worker's hands, for a minute."""
    wanted = [Wanted("default", pair)]
    (lease,) = production.leases().take_many(wanted, "another worker", clock(), clock() + timedelta(minutes=1))
    assert isinstance(lease, Lease)
    return lease
