"""`python -m tests.faults.kill`: workers that die at every point at which they have something to lose, and others that
take over. People use `make kill N=`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import uuid4

from rich.console import Console
from rich.table import Table

from batch_create.handler import LEASE_GRACE
from batch_create.ports import Point
from local.deployment import DeploymentFailed
from local.processes import ServerFailed
from model.outcomes import Result, Status
from tests.e2e.deployed import LocalStack, deployed
from tests.faults.checks import Violation, violations
from tests.faults.evidence import Evidence, Number, calls_of, state_of
from tests.faults.rehearsal import Ledger
from tests.faults.report import story
from tests.faults.workers import RESERVE, Work, environment, event_of, invoke

TO = "deals"
CATEGORY = "USER_DEFINED"
INPUTS_OF_A_KILL = 2  # messages in the batch of one that is killed: one can be settled when the other is not
MORTAL_SECONDS = 12.0  # of an invocation that is killed: enough for a call, and its lease ends soon
HEIR_SECONDS = 60.0
ANSWER_MS = 2_000  # how long HubSpot takes where a worker is killed waiting for it
REDELIVERIES = 6
AT_A_TIME = 4


@dataclass
class Kill:
    """One worker that dies at a point, with the messages that it had."""

    point: Point
    envelopes: dict[str, dict[str, Any]]
    numbers: list[Number]
    died: bool = False
    lease_ends: float = 0.0
    left: list[str] = field(default_factory=list)


class Kills:
    """So many kills at every point, against a stack that is up."""

    def __init__(self, local: LocalStack, of_each: int, seed: int) -> None:
        self._local = local
        self._variables = environment(local)
        self._dice = Random(seed)
        self._objects = {point: f"2-77{number:02}" for number, point in enumerate(Point, 1)}
        self._first_type = 1_000
        self.kills = [kill for point in Point for kill in self._made(point, of_each)]
        self._dice.shuffle(self.kills)

    def _made(self, point: Point, of_each: int) -> Iterator[Kill]:
        from_type = self._objects[point]
        for _ in range(of_each):
            envelopes, numbers = {}, []
            for _ in range(INPUTS_OF_A_KILL):
                self._first_type += 1
                number = self._dice.randint(1, 9_999)
                limit = {"category": CATEGORY, "typeId": self._first_type, "maxToObjectIds": number}
                envelopes[str(uuid4())] = {"fromObjectType": from_type, "toObjectType": TO, "inputs": [limit]}
                numbers.append(((from_type, "0-3", CATEGORY, self._first_type), number))
            yield Kill(point, envelopes, numbers)

    def run(self) -> Evidence:
        """Kill all, let others take over, and bring in what the ledger and the stand-in know."""
        self._prepare()
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            list(pool.map(self._kill, self.kills))
            list(pool.map(self._take_over, self.kills))
        ids = {message_id for kill in self.kills for message_id in kill.envelopes}
        outcomes = Ledger(self._local).outcomes()
        return Evidence(
            outcomes={outcome_id: outcome for outcome_id, outcome in outcomes.items() if outcome_id in ids},
            calls=calls_of(self._local.standin("GET", "journal")["entries"]),
            state=state_of(self._local.standin("GET", "state")),
        )

    def _prepare(self) -> None:
        standin = self._local.standin
        for what in ("faults", "state", "journal"):
            standin("DELETE", what)
        standin("PUT", "settings", {"tenSecondlyLimit": None})
        for kill in self.kills:
            for (from_type, _, category, type_id), _ in kill.numbers:
                pair = {"fromObjectType": from_type, "toObjectType": TO}
                standin("POST", "types", {**pair, "category": category, "typeId": type_id, "label": f"kill {type_id}"})
        slow = {"operation": "create", "fromObjectType": self._objects[Point.AFTER_SEND], "toObjectType": TO}
        of_each = sum(kill.point is Point.AFTER_SEND for kill in self.kills)
        for late, times in ((False, of_each - of_each // 2), (True, of_each // 2)):
            if times:
                # Either it is carried out when it comes, or while its sender is dead already.
                effect = {"kind": "delay", "delayMs": ANSWER_MS, "late": late}
                standin("POST", "faults", {**slow, "times": times, "effect": effect})

    def _kill(self, kill: Kill) -> None:
        work = Work(event_of(kill.envelopes), MORTAL_SECONDS, kill.point)
        kill.died = invoke(self._variables, work) is None
        kill.lease_ends = time.time() + MORTAL_SECONDS - RESERVE + LEASE_GRACE.total_seconds()

    def _take_over(self, kill: Kill) -> None:
        """As the queue does it: what was not finished is delivered again, for as long as it takes."""
        kill.left = list(kill.envelopes)
        time.sleep(max(0.0, kill.lease_ends - time.time()))
        for receives in range(2, 2 + REDELIVERIES):
            event = event_of({message_id: kill.envelopes[message_id] for message_id in kill.left}, receives)
            kill.left = invoke(self._variables, Work(event, HEIR_SECONDS)) or []
            if not kill.left:
                return
            time.sleep(5)


@dataclass
class Verdict:
    """What all kills came to."""

    rows: dict[str, dict[str, int]]
    violations: list[Violation]

    @property
    def failed(self) -> bool:
        return bool(self.violations) or any(row["kills"] != row["recovered"] for row in self.rows.values())


def judge(kills: list[Kill], evidence: Evidence) -> Verdict:
    """How many of each point died, and how many of those ended as if nobody had."""
    rows: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(("kills", "recovered", "creates", "reads"), 0))
    pairs: dict[str, str] = {}
    for kill in kills:
        row = rows[kill.point.value]
        row["kills"] += kill.died
        row["recovered"] += kill.died and _recovered(kill, evidence)
        row["creates"] += len({call.sequence for number in kill.numbers for call in evidence.sent.get(number, [])})
        pairs[kill.numbers[0][0][0]] = kill.point.value
    for call in evidence.calls:
        if call.operation == "read" and call.pair[0] in pairs:
            rows[pairs[call.pair[0]]]["reads"] += 1
    return Verdict({point.value: rows[point.value] for point in Point}, list(violations(evidence)))


def _recovered(kill: Kill, evidence: Evidence) -> bool:
    outcomes = [evidence.outcomes.get(message_id) for message_id in kill.envelopes]
    complete = all(
        outcome is not None
        and outcome.status is Status.COMPLETE
        and {item.result for item in outcome.inputs} == {Result.APPLIED}
        for outcome in outcomes
    )
    waited = kill.point is not Point.AFTER_SEND or all(_left_waiting(number, evidence) for number in kill.numbers)
    return complete and waited and all(evidence.state.get(key) == number for key, number in kill.numbers)


def _left_waiting(number: Number, evidence: Evidence) -> bool:
    """Whether the first call for a number has arrived, and was to be answered when its sender was dead."""
    sent = evidence.sent.get(number, [])
    return bool(sent) and sent[0].struck is not None


def show(verdict: Verdict, evidence: Evidence, seconds: float) -> None:
    """Print the table, a line of it for programs, and the story of whatever went wrong."""
    table = Table("point", "kills", "recovered", "creates", "reads", box=None)
    for point, row in verdict.rows.items():
        table.add_row(point, *(str(figure) for figure in row.values()))
    Console(highlight=False, width=None if sys.stdout.isatty() else 100).print(table)
    print(json.dumps({"points": verdict.rows, "violations": len(verdict.violations), "seconds": round(seconds)}))
    for violation in verdict.violations[:5]:
        print(f"\n{violation.kind}: {violation.what}\n{story(evidence, violation.outcome_id)}")


def main() -> int:
    """Exit status 1 unless every worker died where it should, and nothing of it was lost or doubled."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.kill", description=__doc__)
    parser.add_argument("--of-each", type=int, default=20, help="kills at each point (default 20)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    try:
        with deployed() as local:
            started = time.monotonic()
            kills = Kills(local, options.of_each, options.seed)
            evidence = kills.run()
    except (ServerFailed, DeploymentFailed) as failure:
        print(f"kill: {failure}", file=sys.stderr)
        return 1
    verdict = judge(kills.kills, evidence)
    show(verdict, evidence, time.monotonic() - started)
    complete = all(row["kills"] == options.of_each for row in verdict.rows.values())
    return 0 if complete and not verdict.failed else 1


if __name__ == "__main__":
    sys.exit(main())
