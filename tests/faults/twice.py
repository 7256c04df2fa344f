"""`python -m tests.faults.twice`: the same message delivered to two workers at the same moment, again and again.
People use `make twice N=`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from random import Random
from typing import Any
from uuid import uuid4

from local.deployment import DeploymentFailed
from local.processes import ServerFailed
from model.object_types import spellings
from tests.e2e.deployed import LocalStack, deployed
from tests.faults.checks import violations
from tests.faults.evidence import Evidence, Number, calls_of, state_of
from tests.faults.rehearsal import Ledger
from tests.faults.report import explained
from tests.faults.violation import Violation
from tests.faults.workers import PROCESSES, Work, environment, event_of, loop

WORKERS = 2
PAIR = ("2-7700", "deals")
TO_ID = "0-3"
LIMIT = ("USER_DEFINED", 1)
SECONDS = 60.0  # of an invocation
AHEAD = 0.02  # seconds until both begin: enough for both to have the message
UNCERTAIN = 0.04  # of all creates come to no clear answer, half of them applied
REDELIVERIES = 10


@dataclass(frozen=True)
class Twice:
    """What came of so many messages, each delivered twice at once."""

    messages: int
    evidence: Evidence
    first_answers: Counter[str]
    redelivered: int
    violations: list[Violation]

    def figures(self) -> dict[str, Any]:
        """Every figure by its name."""
        sent = self.evidence.sent
        uncertain = sum(calls[0].struck is not None for calls in sent.values())
        return {
            "messages": self.messages,
            "outcomes": dict(Counter(outcome.status.value for outcome in self.evidence.outcomes.values())),
            "numbers sent once": sum(len(calls) == 1 for calls in sent.values()),
            "numbers sent again": sum(len(calls) > 1 for calls in sent.values()),
            "uncertain answers": uncertain,
            "answers of the two": dict(self.first_answers),
            "redelivered": self.redelivered,
            "violations": len(self.violations),
        }


def twice(local: LocalStack, messages: int, seed: int) -> Twice:
    """Deliver so many messages to two workers at once, and the rest of each until it is done."""
    dice = Random(seed)
    _prepare(local, dice)
    ids = [str(uuid4()) for _ in range(messages)]
    numbers = dict(zip(ids, dice.sample(range(1, 10_000), messages), strict=True))
    answers: Counter[str] = Counter()
    redelivered = 0
    with _workers(local) as workers:
        for message_id in ids:
            limit = {"category": LIMIT[0], "typeId": LIMIT[1], "maxToObjectIds": numbers[message_id]}
            spelt = {"fromObjectType": PAIR[0], "toObjectType": dice.choice(spellings(TO_ID))}
            envelopes = {message_id: spelt | {"inputs": [limit]}}
            begin = sent_at = time.time() + AHEAD
            for orders in workers:
                orders.send((Work(event_of(envelopes, sent_at), SECONDS), begin))
            left = [orders.recv() for orders in workers]
            answers["both done" if not any(left) else "one done" if not all(left) else "none done"] += 1
            for receives in range(2, REDELIVERIES):
                if not any(left):
                    break
                time.sleep(0.05 if receives == 2 else 1)
                workers[0].send((Work(event_of(envelopes, sent_at, receives), SECONDS), time.time()))
                left = [workers[0].recv()]
                redelivered += 1
    return _judged(local, numbers, answers, redelivered)


def _judged(local: LocalStack, numbers: dict[str, int], answers: Counter[str], redelivered: int) -> Twice:
    outcomes = Ledger(local).outcomes()
    evidence = Evidence(
        outcomes={outcome_id: outcome for outcome_id, outcome in outcomes.items() if outcome_id in numbers},
        calls=calls_of(local.standin("GET", "journal")["entries"]),
        state=state_of(local.standin("GET", "state")),
    )
    wrong = list(violations(evidence))
    wrong += [Violation("lost", one, "has no outcome") for one in numbers if one not in evidence.outcomes]
    wrong += [
        Violation("lost", one, "was never sent") for one in numbers if not evidence.sent.get(_number(numbers[one]))
    ]
    return Twice(len(numbers), evidence, answers, redelivered, wrong)


def _number(number: int) -> Number:
    return ((PAIR[0], TO_ID, *LIMIT), number)


def _prepare(local: LocalStack, dice: Random) -> None:
    for what in ("faults", "state", "journal"):
        local.standin("DELETE", what)
    local.standin("PUT", "settings", {"tenSecondlyLimit": None})
    pair = {"fromObjectType": PAIR[0], "toObjectType": PAIR[1]}
    local.standin("POST", "types", {**pair, "category": LIMIT[0], "typeId": LIMIT[1], "label": "twice"})
    for applied in (True, False):
        effect = {"kind": "status", "status": 503, "applied": applied}
        order = {"operation": "create", "share": UNCERTAIN / 2, "seed": dice.getrandbits(31), "effect": effect}
        local.standin("POST", "faults", order)


@contextmanager
def _workers(local: LocalStack) -> Iterator[list[Connection]]:
    """Connections to workers that wait for work. They end afterwards."""
    variables = environment(local)
    started = []
    for _ in range(WORKERS):
        ours, theirs = PROCESSES.Pipe()
        process = PROCESSES.Process(target=loop, args=(variables, theirs), daemon=True)
        process.start()
        theirs.close()
        started.append((process, ours))
    try:
        yield [connection for _, connection in started]
    finally:
        for process, connection in started:
            connection.send(None)
            process.join()


def main() -> int:
    """Exit status 1 if anything was lost, or done twice without need."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.twice", description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    try:
        with deployed() as local:
            started = time.monotonic()
            result = twice(local, options.messages, options.seed)
    except (ServerFailed, DeploymentFailed) as failure:
        print(f"twice: {failure}", file=sys.stderr)
        return 1
    print(json.dumps({**result.figures(), "seconds": round(time.monotonic() - started)}, indent=1))
    for violation in result.violations[:5]:
        print(f"\n{explained(result.evidence, violation)}")
    return 1 if result.violations else 0


if __name__ == "__main__":
    sys.exit(main())
