"""A deployed stack in which a death costs half a minute instead of minutes, and everything it has come to know."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from aws.dynamodb import deserialise
from hubspot_api.retry_policy import daily_reset
from ledger.items import to_outcome
from model.outcomes import Outcome
from tests.e2e.deployed import LocalStack

# A consumer has 60 s on AWS and its messages come back after 360: a killed worker's ten messages would wait six
# minutes, and their leases 70 s. With 20 s and 30 s both last about as long as each other.
TIMEOUT = 20
VISIBILITY = 30
SHORTENED = ("consumer.handler", "scheduled.handler")
CALLING = (*SHORTENED, "webhook.handler")  # what asks HubSpot, and parks when a day's quota is spent


@contextmanager
def shortened(local: LocalStack) -> Iterator[None]:
    """The stack with short timeouts, and with a portal's midnight near. Afterwards it is as it was deployed."""
    functions = {handler: local.function(handler) for handler in CALLING}
    queue = local.aws("sqs").get_queue_attributes(QueueUrl=local["queueUrl"], AttributeNames=["VisibilityTimeout"])
    zone = zone_near_midnight(datetime.now(UTC))
    for handler, was in functions.items():
        variables = was["Environment"]["Variables"] | {"PORTAL_TIME_ZONES": f"default={zone}"}
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
        found: dict[str, Outcome] = {}
        more: dict[str, Any] = {}
        while True:
            page = self.local.aws("dynamodb").scan(TableName=self.local["outcomesTable"], ConsistentRead=True, **more)
            for item in map(deserialise, page["Items"]):
                if "inputs" not in item:
                    continue  # a lock around a token
                outcome = to_outcome(item)
                if since is None or outcome.requested_at >= since:
                    found[outcome.id] = outcome
            if "LastEvaluatedKey" not in page:
                return found
            more = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def backlog(local: LocalStack) -> tuple[int, int]:
    """How many messages of the main queue can be received now, and how many there are in all."""
    attributes = local.aws("sqs").get_queue_attributes(QueueUrl=local["queueUrl"], AttributeNames=["All"])["Attributes"]
    counts = {name: int(value) for name, value in attributes.items() if name.startswith("ApproximateNumber")}
    return counts["ApproximateNumberOfMessages"], sum(counts.values())
