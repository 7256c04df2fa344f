"""Measure 8: many synchronous requests for one pair at once, which HubSpot's quota does not allow a call each.

The ledger is bench/aws.py and not the emulator of `make up`. With both processors of a small machine the emulator takes
200 to 300 conditional writes a second, and a processor for it; these requests make as many, so that the emulator would
be measured. The same number costs bench/aws.py a tenth of a processor. It handles one operation after the other, so
that conditions hold between processes, and each takes the time that DynamoDB takes.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from statistics import median
from typing import Any
from uuid import uuid4

from bench.checkout import HERE, Checkout
from bench.first import Aws
from bench.function import Answer, Function, function
from bench.report import Figure, Ratio, Section
from bench.stage import DYNAMODB_MS, HUBSPOT_MS, Stage, stage
from bench.traffic import AssociationType, limit_input, types
from bench.turns import in_turn
from tests.support.events import api_event

PER_SECOND = 20  # requests: the throttle that is deployed by default
QUOTA = 100  # calls in ten seconds: half as many as there are requests
INPUTS = 3  # of a request at most
SOON = 5.0  # seconds; a person still waits, and so does HubSpot for some of its own requests
TIMEOUT = 29  # seconds of the webhook's function
# Warm ones. Half of the requests get a call, up to 18 s after they came: so many wait when nobody shares a call.
ENVIRONMENTS, ENVIRONMENTS_QUICK = 220, 110
FINAL = frozenset({"COMPLETE", "PARTIAL", "REJECTED", "UNCONFIRMED", "FAILED"})
PAIR, WARM_PAIR = "2-1", "2-2"
PATH = "/crm/associations/2026-03/definitions/configurations/{}/contacts/batch/create"
TEXT = f"""\
{PER_SECOND} synchronous HTTP requests a second for {{seconds}} s, all for one pair of {{types}} limits. Each sets 1 to
{INPUTS} of them to a number of its own. They are given to the webhook's handler as API Gateway does, each at its moment
and whether or not others have ended. Each is handled in a process that handles nothing else meanwhile; {{environments}}
such processes are warm beforehand (bench/prefork.py). The stand-in answers in {HUBSPOT_MS} ms and allows {QUOTA} calls
in ten seconds, which the workers know. The ledger is bench/aws.py, which answers in {DYNAMODB_MS} ms and keeps to every
condition.

An answer is final if its `Outcome-Status` is. A request that went to the queue is not answered finally: nobody receives
from the queue here. Times are from the moment at which a request was due. Calls are those that came to the stand-in,
also those that it answered 429. With a base, both take turns, each with an AWS and a stand-in of its own."""


@dataclass(frozen=True)
class Measured:
    """What came of a turn: all answers, how many processes were busy at once at most, and HubSpot's journal of the
    pair."""

    answers: Sequence[Answer]
    most_busy: int
    journal: Sequence[dict[str, Any]]

    @property
    def final(self) -> list[float]:
        """The seconds of each final answer."""
        return [each.seconds for each in self.answers if each.header("Outcome-Status") in FINAL]

    @property
    def soon(self) -> int:
        """Final answers within SOON."""
        return sum(seconds <= SOON for seconds in self.final)

    @property
    def median_seconds(self) -> float:
        """Until a final answer; that of the timeout if there was none."""
        return median(self.final or [TIMEOUT])

    @property
    def creates(self) -> int:
        """Batch creates that HubSpot received."""
        return sum(entry["operation"] == "create" for entry in self.journal)

    @property
    def refused(self) -> int:
        """Calls answered 429."""
        return sum(entry["status"] == 429 for entry in self.journal)

    @property
    def cpu_ms(self) -> float:
        """Processor time of a request."""
        return 1000 * sum(each.cpu_seconds for each in self.answers) / len(self.answers)


FIGURES: tuple[tuple[str, str, Callable[[Measured], float]], ...] = (
    (f"final answers within {SOON:g} s", "requests", lambda of: of.soon),
    ("final answers", "requests", lambda of: len(of.final)),
    ("until a final answer, p50", "s", lambda of: of.median_seconds),
    ("calls of HubSpot", "calls", lambda of: len(of.journal)),
    ("batch creates that HubSpot received", "calls", lambda of: of.creates),
    ("calls answered 429", "calls", lambda of: of.refused),
    ("processes busy at once, at most", "", lambda of: of.most_busy),
    ("processor time of a request", "ms", lambda of: of.cpu_ms),
)


def measure(quick: bool, base: Checkout | None = None) -> Section:
    """Answers and calls of this checkout; with a base, of both in turns."""
    seconds, turns, environments = (8, 1, ENVIRONMENTS_QUICK) if quick else (60, 2, ENVIRONMENTS)
    checkouts = [each for each in (HERE, base) if each]
    measured: dict[Checkout, list[Measured]] = {each: [] for each in checkouts}
    for turn in range(turns):
        for checkout in in_turn(checkouts, turn):
            measured[checkout].append(_measured(checkout, seconds, environments))
    figures = {each: _figures(each.label, measured[each]) for each in checkouts}
    ratios: tuple[Ratio, ...] = ()
    if base:
        soon, final, _, calls, *_ = zip(figures[HERE], figures[base], strict=True)
        # A quick run ends before those wait for long who come when others wait already.
        ratios = (
            Ratio(f"final answers within {SOON:g} s, head / base", *soon, None if quick else 2, at_most=False),
            Ratio("final answers, head / base", *final, None),
            Ratio("calls of HubSpot, head / base", *calls, None if quick else 1),
        )
    text = TEXT.format(seconds=seconds, types=len(pair_types(PAIR)), environments=environments)
    return Section("A contended pair", text, tuple(each for some in figures.values() for each in some), ratios, ())


def pair_types(pair: str) -> list[AssociationType]:
    """The types of a pair."""
    return [each for each in types() if each.from_object_type == pair]


def requests(count: int, seed: int = 1) -> Iterator[dict[str, Any]]:
    """So many events of API Gateway for the pair, the same ones each time but for their ids."""
    random, known = Random(seed), pair_types(PAIR)
    for _ in range(count):
        inputs = [limit_input(each, random) for each in random.sample(known, random.randint(1, INPUTS))]
        yield _event(PAIR, inputs)


def _event(pair: str, inputs: Sequence[dict[str, Any]], **headers: str | None) -> dict[str, Any]:
    headers["Authorization"] = "Bearer crm-key"
    return api_event("POST", PATH.format(pair), body={"inputs": inputs}, query=None, **headers)


def _measured(checkout: Checkout, seconds: int, environments: int) -> Measured:
    with stage([*pair_types(PAIR), *pair_types(WARM_PAIR)], tenSecondlyLimit=QUOTA) as set_up:
        Aws(set_up.aws, set_up.http).reset()  # which has the clients' secret
        answers, most_busy = asyncio.run(_answers(checkout, seconds, environments, set_up))
        journal = [entry for entry in set_up.journal() if entry["fromObjectType"] == PAIR]
    one = Measured(answers, most_busy, journal)
    statuses = Counter(f"{each.status} {each.header('Outcome-Status') or ''}".strip() for each in answers)
    told = ", ".join(f"{count} times {status}" for status, count in statuses.most_common())
    print(f"  {checkout.label or 'head: '}{told}; {len(journal)} calls", flush=True)
    return one


async def _answers(checkout: Checkout, seconds: int, environments: int, set_up: Stage) -> tuple[Sequence[Answer], int]:
    environment = {**set_up.environment(), "QUOTA_CALLS": str(QUOTA)}
    async with function(checkout, "webhook", TIMEOUT, environment) as webhook:
        await _warm_up(webhook, environments)
        return await webhook.open_loop(list(requests(PER_SECOND * seconds)), PER_SECOND), webhook.most_busy


async def _warm_up(webhook: Function, environments: int) -> None:
    """Let every client be made and every import be done, with one call of HubSpot in all: the first request has a key,
    and all that repeat it are answered from the ledger. The second one goes to the queue."""
    inputs = [limit_input(pair_types(WARM_PAIR)[0], Random(1))]
    events = [
        _event(WARM_PAIR, inputs, Idempotency_Key=str(uuid4())),
        _event(WARM_PAIR, inputs, Prefer="respond-async"),
    ]
    answers = await webhook.warm_up(environments, events)
    if failed := [each.returned for each in answers if each.status not in (201, 202)]:
        raise RuntimeError(f"{len(failed)} of {len(answers)} requests failed while warming up, the first: {failed[0]}")


def _figures(label: str, turns: Sequence[Measured]) -> list[Figure]:
    return [Figure(f"{label}{name}", unit, tuple(value(each) for each in turns)) for name, unit, value in FIGURES]
