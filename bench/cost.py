"""What a million requests cost on AWS, here and elsewhere: `python -m bench.cost` prints the tables of docs/cost.md.

Counts to dollars, without measuring anything: what was measured is in `MEASURED` and `python -m bench.units`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from aws.dynamodb import STATEMENTS_IN_ONE_WRITE
from aws.secrets_manager import MEMORY
from batch_create.handler import PAIRS_TOGETHER
from bench import prices
from bench.prices import MILLION, Price
from bench.units import Measured, measure
from model.outcomes import Trigger
from runtime.concurrency import MAX_THREADS

GB = 1e9  # bytes: for logs, for which AWS does not say which GB it means; for DynamoDB it is seven percent more
FULL_CPU = 1_769  # MiB at which a function has one vCPU: Lambda Developer Guide, "Configure Lambda function memory"
INPUTS = 4  # limits of a request here
MEMORY_MIB = 512  # cdk.json
MONTH = 30.4 * 86_400  # seconds
OUTCOME_MONTHS, LOG_MONTHS = 400 / 30.4, 90 / 30.4  # cdk.json: outcomeRetentionDays, logRetentionDays
ALARMS = 20  # infra/alarms.py
METRICS = 7  # that a busy stack counts: runtime/telemetry.py
QUEUES, POLLERS, LONG_POLL = 2, 5, 20  # of Lambda, seconds: Lambda Developer Guide, "Using Lambda with Amazon SQS"
SAMPLED = 0.05  # of invocations, and the first of each second, which counts for little: AWS X-Ray Developer Guide


@dataclass(frozen=True)
class Seconds:
    """What a request takes. The processor's are of a whole core."""

    hubspot: float = 0.15  # as the stand-in of `make bench` answers
    write: float = 0.005  # assumed of DynamoDB
    processor: float = 0.0018  # of a message, measured on an AMD EPYC
    sending: float = 0.0022  # of a call of DynamoDB, the same: botocore's part
    reading: float = 0.003  # of both, where a message is only read, sent and written once; assumed


@dataclass(frozen=True)
class Bytes:
    """What goes to CloudWatch Logs. Ours is measured; what Lambda and API Gateway write is an assumption."""

    request: int = 540  # the line "settled", with an ARN of usual length
    invocation: int = 900  # 250 of them our metrics, the rest Lambda's start and report as JSON
    access: int = 400  # API Gateway's line


MEASURED = Seconds()
LOGGED = Bytes()
Counts = Mapping[Price, float]


@dataclass(frozen=True)
class Way:
    """One way to have requests done: what it uses for one request, and what one gets for it."""

    name: str
    counts: Counts
    calls: float
    gives: str

    def dollars(self, price: Price) -> float:
        """For a million requests, of one price."""
        return self.counts.get(price, 0.0) * price.dollars * MILLION

    @property
    def total(self) -> float:
        """For a million requests."""
        return sum(self.dollars(price) for price in self.counts)


def work(seconds: float, memory_mib: int) -> float:
    """How long a function of so much memory takes for so much of a whole core's work."""
    return seconds / min(1.0, memory_mib / FULL_CPU)


def gigabyte_seconds(seconds: float, memory_mib: int) -> float:
    """What Lambda charges for."""
    return seconds * memory_mib / 1_024


def batch_seconds(messages: int, calls: int, memory_mib: int, seconds: Seconds = MEASURED) -> float:
    """How long an invocation takes for messages that need so many calls, each of another pair. It waits for four
    claims, calls or settlements at once, and its processor works on one after the other; ten calls need a write to a
    bucket. Each pair is taken and given back. That DynamoDB does many writes of one call at once is not counted on."""
    writes = 2 * (ceil(messages / MAX_THREADS) + ceil(calls / MAX_THREADS))
    waits = writes * seconds.write + ceil(calls / MAX_THREADS) * seconds.hubspot
    processor = messages * seconds.processor + writing_calls(messages, calls) * seconds.sending
    return work(processor, memory_mib) + waits + ceil(calls / 10) * seconds.write


def writing_calls(messages: int, calls: int) -> int:
    """Calls of DynamoDB for messages of so many pairs. A message alone is claimed and its pair taken in one; else a few
    pairs are taken in one, and their messages claimed in others. What settles a pair's messages gives it back as well.
    """
    settlements = calls * ceil((messages / calls + 1) / STATEMENTS_IN_ONE_WRITE)
    if messages == 1:
        return 1 + settlements
    together = max(1, min(PAIRS_TOGETHER, ceil(calls / MAX_THREADS)))
    takes = ceil(calls / together)
    return takes + takes * ceil(messages / takes / STATEMENTS_IN_ONE_WRITE) + settlements


def ours(name: str, measured: Measured, messages: int, calls: int, entry: Counts) -> Way:
    """This service, with so many messages to an invocation, so many calls for them, and what brings one message in."""
    duration = batch_seconds(messages, calls, MEMORY_MIB)
    counts = {
        prices.LAMBDA_REQUEST: 1 / messages,
        prices.LAMBDA_SECOND: gigabyte_seconds(duration, MEMORY_MIB) / messages,
        prices.WRITE_UNIT: measured.units + (measured.pair_units * calls + ceil(calls / 10)) / messages,
        prices.LOG: _logged(messages),
        prices.TRACE: SAMPLED / messages,
        **entry,
    }
    return Way(name, counts, calls / messages, "one outcome for each input, proved")


def plain(messages: int) -> Way:
    """The plainest handler with HubSpot's SDK: one call and one write for each message, one after the other."""
    each = MEASURED.hubspot + MEASURED.write + work(MEASURED.reading, MEMORY_MIB)
    counts = {
        prices.LAMBDA_REQUEST: 1 / messages,
        prices.LAMBDA_SECOND: gigabyte_seconds(each, MEMORY_MIB),
        prices.WRITE_UNIT: 1.0,
        prices.LOG: _logged(messages),
        prices.TRACE: SAMPLED / messages,
        prices.SQS_REQUEST: queued(messages),
    }
    return Way("Lambda with HubSpot's SDK", counts, 1.0, "HubSpot's answer, unread; a 207 passes for done")


def destination() -> Way:
    """EventBridge's API destination: one event, one call."""
    counts = {prices.EVENT: 1.0, prices.DESTINATION: 1.0}
    return Way("EventBridge API destination", counts, 1.0, "nothing of the answer; a 207 passes for done")


def workflow(*, express: bool) -> Way:
    """Step Functions: HTTP task, choice by its answer, and a write of it."""
    if not express:
        counts = {prices.TRANSITION: 3.0, prices.WRITE_UNIT: 1.0}
        return Way("Step Functions, standard", counts, 1.0, "HubSpot's answer; what it means is yours to write")
    # Billed by 100 ms and by 64 MB: the HTTP task's answer and a write, and as much again of Step Functions' own.
    seconds = ceil((MEASURED.hubspot + MEASURED.write + 0.05) * 10) / 10
    counts = {
        prices.EXPRESS_REQUEST: 1.0,
        prices.EXPRESS_SECOND: seconds * 64 / 1_024,
        prices.WRITE_UNIT: 1.0,
        prices.LOG: 2_000 / GB,  # its history is kept nowhere else
    }
    return Way("Step Functions, express", counts, 1.0, "the same; at least once, so perhaps twice")


def ways(measured: Measured, alone: Measured) -> list[Way]:
    """All that are compared. `alone` is a request that no message would bring back, and `measured` one of the queue."""
    access = {prices.REST_REQUEST: 1.0, prices.LOG: _logged(1) + LOGGED.access / GB}
    return [
        ours("by HTTP", alone, 1, 1, access),
        ours("by schedule", alone, 1, 1, {prices.SCHEDULE: 1.0}),
        ours("by SQS, one to an invocation", measured, 1, 1, {prices.SQS_REQUEST: queued(1)}),
        ours("by SQS, 10, each of another pair", measured, 10, 10, {prices.SQS_REQUEST: queued(10)}),
        ours("by SQS, 10, of 5 pairs", measured, 10, 5, {prices.SQS_REQUEST: queued(10)}),
        ours("by SQS, 100, of 20 pairs", measured, 100, 20, {prices.SQS_REQUEST: queued(100)}),
        ours("by SQS, 1,000, of 40 pairs", measured, 1_000, 40, {prices.SQS_REQUEST: queued(1_000)}),
        plain(10),
        destination(),
        workflow(express=False),
        workflow(express=True),
    ]


def again(measured: Measured) -> float:
    """Dollars for a million further runs of requests that wait, each of another pair: the same writes, their entries of
    what waits deleted and put, and a hidden message."""
    counts = {prices.WRITE_UNIT: measured.units + 2 + measured.pair_units, prices.SQS_REQUEST: 1 + 1 / 10}
    return sum(price.dollars * number for price, number in counts.items()) * MILLION


def storage(measured: Measured) -> float:
    """Dollars a month for a million outcomes, with point-in-time recovery."""
    return measured.stored * MILLION / 2**30 * (prices.STORED.dollars + prices.RECOVERY.dollars)


def logs_kept() -> float:
    """Dollars for the logs of a million requests, ten to an invocation, for as long as they are kept."""
    return _logged(10) * MILLION * LOG_MONTHS * prices.LOG_STORED.dollars


def monthly(portals: int) -> float:
    """Dollars a month for a stack that does nothing but wait: secrets, alarms and their key, dashboard, polling."""
    polls = QUEUES * POLLERS * MONTH / LONG_POLL
    return (
        (portals + 1) * prices.SECRET.dollars
        + ALARMS * prices.ALARM.dollars
        + prices.KEY.dollars
        + prices.DASHBOARD.dollars
        + polls * prices.SQS_REQUEST.dollars
    )


def busy(portals: int, functions: int) -> float:
    """Dollars a month besides, where each of the functions calls for each of the portals all the time: a secret is read
    every five minutes, and the ends of outcomes are counted."""
    reads = portals * functions * MONTH / MEMORY.total_seconds()
    return reads * prices.SECRET_READ.dollars + METRICS * prices.METRIC.dollars


def queued(messages: int) -> float:
    """Requests of SQS for one message: it is sent alone, and received and deleted with nine others at most."""
    return 1 + 2 / min(10, messages)


def _logged(messages: int) -> float:
    return (LOGGED.request + LOGGED.invocation / messages) / GB


COLUMNS = {
    "entry": (
        prices.REST_REQUEST,
        prices.SQS_REQUEST,
        prices.EVENT,
        prices.DESTINATION,
        prices.TRANSITION,
        prices.EXPRESS_REQUEST,
        prices.SCHEDULE,
    ),
    "compute": (prices.LAMBDA_REQUEST, prices.LAMBDA_SECOND, prices.EXPRESS_SECOND),
    "ledger": (prices.WRITE_UNIT,),
    "logs, traces": (prices.LOG, prices.TRACE),
}


def table(measured: Measured, alone: Measured) -> str:
    """The comparison, in Markdown."""
    lines = [f"| for a million requests | HubSpot calls | {' | '.join(COLUMNS)} | **together** | what one gets |"]
    lines.append("|---|" + "---:|" * (len(COLUMNS) + 2) + "---|")
    for way in ways(measured, alone):
        parts = [sum(way.dollars(price) for price in column) for column in COLUMNS.values()]
        cells = [f"${part:.2f}" if part else "" for part in parts]
        calls = f"{way.calls * MILLION:,.0f}"
        lines.append(f"| {way.name} | {calls} | {' | '.join(cells)} | **${way.total:.2f}** | {way.gives} |")
    return "\n".join(lines)


def main() -> int:
    """Print what docs/cost.md shows."""
    logging.disable(logging.INFO)  # a line for each request, which is for CloudWatch
    measured = measure(INPUTS)
    print(table(measured, measure(INPUTS, Trigger.WEBHOOK)))
    print()
    month = storage(measured)
    for text, dollars in {
        "a million further runs of requests that wait, at most": again(measured),
        "a million outcomes kept for a month": month,
        "the same for their 400 days": month * OUTCOME_MONTHS,
        "the logs of a million requests kept for their 90 days": logs_kept(),
        "a fair queue, for a million messages": queued(10) * prices.SQS_FAIR.dollars * MILLION,
        "a stack of one portal that does nothing, a month": monthly(1),
        "a stack of 50 portals that does nothing, a month": monthly(50),
        "the same, 5 functions busy all month, besides": busy(50, 5),
        "a stack of 10,000 portals, a month": monthly(10_000),
    }.items():
        print(f"{text}: ${dollars:.2f}")
    print()
    print(prices.listed())
    return 0


if __name__ == "__main__":
    sys.exit(main())
