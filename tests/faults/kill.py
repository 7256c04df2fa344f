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
from itertools import groupby
from random import Random
from typing import Any
from uuid import uuid4

from rich.console import Console
from rich.table import Table

from batch_create.handler import LEASE_GRACE
from batch_create.plan import chunks
from batch_create.ports import Point
from ledger.leases import PREFIX
from local.deployment import DeploymentFailed
from local.processes import ServerFailed
from model.object_types import spellings
from model.outcomes import Result, Status
from tests.e2e.deployed import LocalStack, deployed
from tests.faults.checks import violations
from tests.faults.evidence import Evidence, Number, calls_of, key_of, state_of
from tests.faults.rehearsal import Ledger
from tests.faults.report import explained
from tests.faults.violation import Violation
from tests.faults.workers import RESERVE, Work, environment, event_of, invoke, verification_of

TO, TO_ID = "deals", "0-3"
CATEGORY = "USER_DEFINED"
INPUTS_OF_A_KILL = 2  # messages in the batch of one that is killed: one can be settled when the other is not
MORTAL_SECONDS = 15.0  # of an invocation that is killed: enough for a call, and its lease ends soon
HEIR_SECONDS = 60.0
ANSWER_MS = 2_000  # how long HubSpot takes where a worker is killed waiting for it
# How long after it was sent a dead worker's call is carried out, where that is to undo what came after it: its lease
# ends after half a minute, and the younger request has been answered soon after that.
LANDS_MS = 90_000
REDELIVERIES = 6
MESSAGES_IN_ONE_EVENT = 10
AT_A_TIME = 4
VERIFIED_WITHIN = 400.0  # seconds


@dataclass
class Kill:
    """One worker that dies at a point, with the messages that it had. `younger` is a message for the first one's limit
    that is delivered before those come again, and what it asks for. The dead worker's call is answered after `answer`
    milliseconds, and carried out only then if it is `late`."""

    point: Point
    envelopes: dict[str, dict[str, Any]]
    numbers: list[Number]
    younger: tuple[str, dict[str, Any], Number] | None = None
    answer: int = ANSWER_MS
    late: bool = False
    sent_at: float = 0.0
    died: bool = False
    lease_ends: float = 0.0
    left: list[str] = field(default_factory=list)

    @property
    def messages(self) -> list[str]:
        return [*self.envelopes, *([self.younger[0]] if self.younger else [])]

    @property
    def last(self) -> list[Number]:
        """What HubSpot must have at the end."""
        return [self.younger[2], *self.numbers[1:]] if self.younger else self.numbers


class Kills:
    """So many kills at every point, against a stack that is up."""

    def __init__(self, local: LocalStack, of_each: int, seed: int) -> None:
        self._local = local
        self._variables = environment(local)
        self._dice = Random(seed)
        self._numbers = self._dice.sample(range(1, 10_000), (INPUTS_OF_A_KILL + 1) * of_each * len(Point))
        self._last_type = 77_000
        self.unverified = 0  # pairs that still wait to be read at the end
        self.kills = [kill for point in Point for kill in self._made(point, of_each)]
        self._dice.shuffle(self.kills)
        # Killed last and taken over first, as their calls land so long after they were sent.
        self._landing = [kill for kill in self.kills if kill.answer == LANDS_MS]
        self._others = [kill for kill in self.kills if kill.answer != LANDS_MS]

    def _made(self, point: Point, of_each: int) -> Iterator[Kill]:
        for place in range(of_each):
            # A pair of its own: others must wait for a pair that a dead worker holds.
            self._last_type += 1
            from_type = f"2-{self._last_type}"
            kill = Kill(point, {}, [])
            for type_id in range(1, 1 + INPUTS_OF_A_KILL):
                message, envelope, number = self._message(from_type, type_id)
                kill.envelopes[message] = envelope
                kill.numbers.append(number)
            if place % 2:
                kill.younger = self._message(from_type, 1)
            if point is Point.AFTER_SEND:
                # Carried out when it comes, while its sender is dead, or after a younger one.
                kill.late = place % 4 in (1, 2)
                kill.answer = LANDS_MS if place % 4 == 1 else ANSWER_MS
            yield kill

    def _message(self, from_type: str, type_id: int) -> tuple[str, dict[str, Any], Number]:
        number = self._numbers.pop()
        limit = {"category": CATEGORY, "typeId": type_id, "maxToObjectIds": number}
        spelt = {"fromObjectType": from_type, "toObjectType": self._dice.choice(spellings(TO_ID))}
        return str(uuid4()), spelt | {"inputs": [limit]}, ((from_type, TO_ID, CATEGORY, type_id), number)

    def run(self) -> Evidence:
        """Kill all, let others take over, and bring in what the ledger and the stand-in know."""
        self._prepare()
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            list(pool.map(self._kill, [*self._others, *self._landing]))
            list(pool.map(self._take_over, [*self._landing, *self._others]))
        self._verify()
        ids = {message_id for kill in self.kills for message_id in kill.messages}
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
            if kill.point is Point.AFTER_SEND:
                effect = {"kind": "delay", "delayMs": kill.answer, "late": kill.late}
                standin("POST", "faults", {"operation": "create", **pair, "times": 1, "effect": effect})

    def _kill(self, kill: Kill) -> None:
        kill.sent_at = time.time()
        work = Work(event_of(kill.envelopes, kill.sent_at), MORTAL_SECONDS, kill.point)
        kill.died = invoke(self._variables, work) is None
        kill.lease_ends = time.time() + MORTAL_SECONDS - RESERVE + LEASE_GRACE.total_seconds()

    def _take_over(self, kill: Kill) -> None:
        time.sleep(max(0.0, kill.lease_ends - time.time()))
        if kill.younger:
            message_id, envelope, _ = kill.younger
            self._deliver({message_id: envelope}, time.time(), 1)
        kill.left = self._deliver(kill.envelopes, kill.sent_at, 2)

    def _deliver(self, envelopes: dict[str, dict[str, Any]], sent_at: float, receives: int) -> list[str]:
        """As the queue does it: what was not finished is delivered again, for as long as it takes. Returns what is
        left."""
        left = list(envelopes)
        for more in range(REDELIVERIES):
            event = event_of({message_id: envelopes[message_id] for message_id in left}, sent_at, receives + more)
            left = invoke(self._variables, Work(event, HEIR_SECONDS)) or []
            if not left:
                break
            time.sleep(5)
        return left

    def _verify(self) -> None:
        """As the sweep does it: the pairs are read over whose numbers a dead worker's call may have landed."""
        own = {f"{PREFIX}default#{from_type}#{TO_ID}" for kill in self.kills for (from_type, *_), _ in kill.numbers}
        end = time.monotonic() + VERIFIED_WITHIN
        while (waiting := own & Ledger(self._local).to_verify().keys()) and time.monotonic() < end:
            pairs = [item_id.removeprefix(PREFIX) for item_id in sorted(waiting)]
            for some in chunks(pairs, MESSAGES_IN_ONE_EVENT):
                invoke(self._variables, Work(verification_of(some), HEIR_SECONDS))
            time.sleep(10)
        self.unverified = len(waiting)


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
    names = ("kills", "recovered", "creates", "reads", "undone", "put back")
    rows: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(names, 0))
    pairs: dict[str, str] = {}
    for kill in kills:
        row = rows[kill.point.value]
        row["kills"] += kill.died
        row["recovered"] += kill.died and _recovered(kill, evidence)
        landings = _landings(kill, evidence)
        row["undone"] += landings > 1
        row["put back"] += landings > 2
        row["creates"] += len({call.sequence for number in kill.numbers for call in evidence.sent.get(number, [])})
        pairs[kill.numbers[0][0][0]] = kill.point.value
    for call in evidence.calls:
        if call.operation == "read" and call.pair[0] in pairs:
            rows[pairs[call.pair[0]]]["reads"] += 1
    return Verdict({point.value: rows[point.value] for point in Point}, list(violations(evidence)))


def _recovered(kill: Kill, evidence: Evidence) -> bool:
    outcomes = [evidence.outcomes.get(message_id) for message_id in kill.messages]
    done = set(kill.last)
    complete = all(
        outcome is not None
        and outcome.status is Status.COMPLETE
        and all(
            item.result is Result.APPLIED
            # What a younger request has asked for anew may have been set before.
            or (item.result is Result.SUPERSEDED and (key_of(outcome, item), item.max_to_object_ids) not in done)
            for item in outcome.inputs
        )
        for outcome in outcomes
    )
    waited = kill.point is not Point.AFTER_SEND or all(_left_waiting(number, evidence) for number in kill.numbers)
    put_back = kill.answer != LANDS_MS or _landings(kill, evidence) > 2
    return complete and waited and put_back and all(evidence.state.get(key) == number for key, number in kill.last)


def _landings(kill: Kill, evidence: Evidence) -> int:
    """How often a younger request's number was set, undone by the older one's, and set again, in turns: 1 where it was
    not undone, and 3 where it was put back once. 0 where there is none."""
    if not kill.younger:
        return 0
    key, number = kill.younger[2]
    history = [spell.number for spell in evidence.spells.get(key, [])]
    since = history[history.index(number) :] if number in history else []
    return sum(1 for _ in groupby(since))


def _left_waiting(number: Number, evidence: Evidence) -> bool:
    """Whether the first call for a number has arrived, and was to be answered when its sender was dead."""
    sent = evidence.sent.get(number, [])
    return bool(sent) and sent[0].struck is not None


def show(verdict: Verdict, evidence: Evidence, seconds: float) -> None:
    """Print the table, a line of it for programs, and the story of whatever went wrong."""
    table = Table("point", "kills", "recovered", "creates", "reads", "undone", "put back", box=None)
    for point, row in verdict.rows.items():
        table.add_row(point, *(str(figure) for figure in row.values()))
    Console(highlight=False, width=None if sys.stdout.isatty() else 100).print(table)
    print(json.dumps({"points": verdict.rows, "violations": len(verdict.violations), "seconds": round(seconds)}))
    for violation in verdict.violations[:5]:
        print(f"\n{explained(evidence, violation)}")


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
    complete = not kills.unverified and all(row["kills"] == options.of_each for row in verdict.rows.values())
    return 0 if complete and not verdict.failed else 1


if __name__ == "__main__":
    sys.exit(main())
