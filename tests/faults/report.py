"""A campaign's report: a table for people, a line for programs, and the story of whatever went wrong."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from model.outcomes import Outcome
from model.records import iso
from tests.faults.checks import GIVEN_UP
from tests.faults.evidence import Evidence, key_of
from tests.faults.violation import Violation

KINDS = ("lost", "doubled", "disagreement", "unfinished")
STORIES = 5


@dataclass
class Report:
    """What a campaign came to."""

    seed: int
    plan: str
    requests: int
    evidence: Evidence
    violations: list[Violation]
    killed: Counter[str]
    faults: Counter[str]
    unanswered: int
    swept: int
    verified: int
    phases: dict[str, float] = field(default_factory=dict)

    def count(self, kind: str) -> int:
        return sum(violation.kind == kind for violation in self.violations)

    def rows(self) -> dict[str, Any]:
        """Every figure by its name."""
        outcomes, calls = self.evidence.outcomes.values(), self.evidence.calls
        creates = [call for call in calls if call.operation == "create"]
        return {
            "seed": self.seed,
            "plan": self.plan,
            "requests": self.requests,
            "outcomes": dict(sorted(Counter(outcome.status.value for outcome in outcomes).items())),
            "inputs": dict(sorted(Counter(item.result.value for o in outcomes for item in o.inputs).items())),
            "lost": self.count("lost"),
            "doubled": self.count("doubled"),
            "disagreements": self.count("disagreement"),
            "unfinished": self.count("unfinished"),
            "dead letters": sum((outcome.reason or "").startswith(GIVEN_UP) for outcome in outcomes),
            "unanswered callers": self.unanswered,
            "swept": self.swept,
            "verifications at the end": self.verified,
            "workers killed": dict(self.killed),
            "faults struck": dict(sorted(self.faults.items())),
            "creates made": len(creates),
            "creates spoiled or refused": sum(not call.answered for call in creates),
            "reads made": len(calls) - len(creates),
            "calls needed singly": sum(bool(outcome.inputs) for outcome in outcomes),
            "seconds": {name: round(seconds) for name, seconds in self.phases.items()},
        }

    def show(self) -> None:
        """Print all of it."""
        console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
        table = Table(box=None, show_header=False)
        rows = self.rows()
        for name, value in rows.items():
            shown = "  ".join(f"{key} {number}" for key, number in value.items()) if isinstance(value, dict) else value
            table.add_row(name, str(shown))
        console.print(table)
        print(json.dumps(rows))
        for kind in KINDS:
            for violation in [one for one in self.violations if one.kind == kind][:STORIES]:
                print(f"\n{explained(self.evidence, violation)}")


def explained(evidence: Evidence, violation: Violation) -> str:
    """A violation, and what there is to know about the outcomes that it is about."""
    stories = [_story(evidence, one) for one in (violation.outcome_id, violation.other) if one]
    return "\n".join([f"{violation.kind}: {violation.what}", *stories])


def _story(evidence: Evidence, outcome_id: str) -> str:
    """One outcome, its attempts, and what the journal knows about its limits."""
    outcome = evidence.outcomes.get(outcome_id)
    if outcome is None:
        return f"outcome {outcome_id} is not in the ledger"
    finished = iso(outcome.finished_at) if outcome.finished_at else "-"
    pair = f"{outcome.from_object_type} to {outcome.to_object_type}"
    lines = [f"outcome {outcome.id} {outcome.status} of {outcome.trigger}, {pair}, {outcome.reason or ''}"]
    lines.append(f"  requested {iso(outcome.requested_at)}, finished {finished}")
    lines += [
        f"  input {item.category} {item.type_id}={item.max_to_object_ids} {item.result} {item.message or ''}"
        f" {item.superseded_by or ''}"
        for item in outcome.inputs
    ]
    events = [
        (attempt.at.timestamp(), f"attempt {attempt.call} {attempt.verdict} {attempt.http_status} {attempt.message}")
        for attempt in outcome.attempts
    ]
    events += list(_journal(evidence, outcome))
    return "\n".join([*lines, *(f"  {moment:.3f} {what}" for moment, what in sorted(events))])


def _journal(evidence: Evidence, outcome: Outcome) -> list[tuple[float, str]]:
    numbers = {(key_of(outcome, item), item.max_to_object_ids) for item in outcome.inputs}
    keys = {key for key, _ in numbers}
    concerned = [call for call in evidence.creates if call.asked & numbers]
    if not concerned:
        return []
    first, last = concerned[0].sequence, concerned[-1].sequence
    events = []
    for call in evidence.calls:
        looks = call.operation == "read" and first <= call.sequence and call.pair in {key[:2] for key in keys}
        sets = {(key, number) for key, number in call.set if key in keys}
        if call in concerned or (looks and call.sequence <= last + 50) or (sets and first <= call.sequence <= last):
            what = f"HubSpot {call.sequence} {call.operation} {call.status} refusal {call.refusal} fault {call.struck}"
            events.append((call.moment, f"{what} set {sorted((key[3], number) for key, number in sets)}"))
    return events
