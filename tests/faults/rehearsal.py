"""A deployed stack in which a death costs half a minute instead of minutes, and everything it has come to know."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from aws.dynamodb import Item, deserialise
from hubspot_api.retry_policy import daily_reset
from ledger.items import VERIFY, to_outcome
from ledger.leases import PREFIX
from model.outcomes import Outcome
from tests.e2e.deployed import LocalStack
from tests.faults.weather import LAG

# A consumer has 60 s on AWS and its messages come back after 360: a killed worker's ten messages would wait six
# minutes, and their leases 70 s. With 20 s and 30 s both last about as long as each other.
TIMEOUT = 20
VISIBILITY = 30
SHORTENED = ("consumer.handler", "scheduled.handler")
# Reads lag behind by five minutes at most, says the default; by less here, whatever a campaign orders.
READ_LAG = LAG + 5
CALLING = (*SHORTENED, "webhook.handler")  # what asks HubSpot, and parks when a day's quota is spent


@contextmanager
def shortened(local: LocalStack) -> Iterator[None]:
    """The stack with short timeouts, and with a portal's midnight near. Afterwards it is as it was deployed."""
    functions = {handler: local.function(handler) for handler in CALLING}
    queue = local.aws("sqs").get_queue_attributes(QueueUrl=local["queueUrl"], AttributeNames=["VisibilityTimeout"])
    zone = zone_near_midnight(datetime.now(UTC))
    for handler, was in functions.items():
        changed = {"PORTAL_TIME_ZONES": f"default={zone}", "READ_LAG_SECONDS": f"{READ_LAG:g}"}
        variables = was["Environment"]["Variables"] | changed
        timeout = TIMEOUT if handler in SHORTENED else was["Timeout"]
        _configure(local, handler, Timeout=timeout, Environment={"Variables": variables})
    _set_visibility(local, str(VISIBILITY))
    try:
        yield
    finally:
        for handler, was in functions.items():
            _configure(local, handler, Timeout=was["Timeout"], Environment=was["Environment"])
        _set_visibility(local, queue["Attributes"]["VisibilityTimeout"])


def zone_near_midnight(now: datetime) -> str:
    """The time zone in which a spent daily quota is tried again soonest, also some minutes from now."""

    def wait(zone: str) -> timedelta:
        moments = [now + timedelta(minutes=minutes) for minutes in (0, 3, 6)]
        return max(daily_reset(moment, ZoneInfo(zone)) - moment for moment in moments)

    return min(sorted(available_timezones()), key=wait)


def _configure(local: LocalStack, handler: str, **settings: Any) -> None:
    name, client = local.function(handler)["FunctionName"], local.aws("lambda")
    client.update_function_configuration(FunctionName=name, **settings)
    client.get_waiter("function_updated").wait(FunctionName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})


def _set_visibility(local: LocalStack, seconds: str) -> None:
    local.aws("sqs").set_queue_attributes(QueueUrl=local["queueUrl"], Attributes={"VisibilityTimeout": seconds})


@dataclass(frozen=True)
class Ledger:
    """The deployed outcomes table, read as a whole."""

    local: LocalStack

    def outcomes(self, since: datetime | None = None) -> dict[str, Outcome]:
        """Every outcome that was requested since then."""
        every = (to_outcome(item) for item in self._items() if "inputs" in item)
        return {each.id: each for each in every if since is None or each.requested_at >= since}

    def to_verify(self) -> dict[str, datetime]:
        """The ids of pairs' items that wait to be read, each with the time from when on a reading tells something."""
        return {
            item["id"]: datetime.fromisoformat(item["sortKey"].partition("#")[0])
            for item in self._items()
            if item["id"].startswith(PREFIX) and VERIFY in item.get("statusKey", "")
        }

    def _items(self) -> Iterator[Item]:
        more: dict[str, Any] = {}
        while True:
            page = self.local.aws("dynamodb").scan(TableName=self.local["outcomesTable"], ConsistentRead=True, **more)
            yield from map(deserialise, page["Items"])
            if "LastEvaluatedKey" not in page:
                return
            more = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def backlog(local: LocalStack) -> tuple[int, int]:
    """How many messages of the main queue can be received now, and how many there are in all."""
    attributes = local.aws("sqs").get_queue_attributes(QueueUrl=local["queueUrl"], AttributeNames=["All"])["Attributes"]
    counts = {name: int(value) for name, value in attributes.items() if name.startswith("ApproximateNumber")}
    return counts["ApproximateNumberOfMessages"], sum(counts.values())
