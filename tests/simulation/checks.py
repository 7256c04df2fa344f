"""What must be true at the end, whatever happened: the ledger against the simulated HubSpot's own state and journal."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.simulation.call_checks import CallChecks
from tests.simulation.evidence import Evidence, Violation
from tests.simulation.ledger_checks import LedgerChecks
from tests.simulation.order_checks import OrderChecks
from tests.simulation.scenario import Scenario


@dataclass
class Report:
    """What one run, or many together, came to."""

    seeds: int = 0
    requests: int = 0
    accepted: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    results: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    needed: int = 0
    reads: int = 0
    dead_letters: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    steps: int = 0
    violations: list[tuple[int, Violation]] = field(default_factory=list)

    def add(self, other: Report) -> None:
        """Take another report in."""
        for name in ("seeds", "requests", "accepted", "calls", "needed", "reads", "dead_letters", "steps"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.statuses += other.statuses
        self.results += other.results
        self.kills += other.kills
        self.violations += other.violations

    def count(self, kind: str) -> int:
        """How many violations of a kind there are."""
        return sum(violation.kind == kind for _, violation in self.violations)


def check(scenario: Scenario) -> Report:
    """The report of one scenario that has been played."""
    evidence = Evidence(scenario)
    LedgerChecks(evidence).check()
    CallChecks(evidence).check()
    OrderChecks(evidence).check()
    plan = scenario.plan
    creates = [entry for entry in evidence.entries.values() if entry.operation == "create"]
    needed = {(o.portal, o.from_object_type, o.to_object_type, o.id) for o in evidence.outcomes.values() if o.inputs}
    return Report(
        seeds=1,
        requests=plan.requests,
        accepted=len(scenario.accepted),
        statuses=Counter(outcome.status.value for outcome in evidence.outcomes.values()),
        results=Counter(item.result.value for outcome in evidence.outcomes.values() for item in outcome.inputs),
        calls=len(creates),
        needed=len(needed),
        reads=sum(entry.operation == "read" for entry in evidence.entries.values()),
        dead_letters=len(scenario.dead_letters.arrived),
        kills=Counter({point.value: number for point, number in scenario.kills.items()}),
        steps=scenario.world.steps,
        violations=[(plan.seed, violation) for violation in evidence.found],
    )
