"""What a scenario that was played has left: the ledger's outcomes, HubSpot's state and its journal, side by side."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass

from local.hubspot.catalogue import object_type_id
from local.hubspot.journal import Entry
from model.outcomes import InputOutcome, Outcome, Status
from tests.simulation.scenario import HUBS, Scenario
from tests.simulation.transport import Key

Number = tuple[Key, int]


@dataclass(frozen=True)
class Violation:
    """Something that must not be: what kind, of which outcome, and how."""

    kind: str  # lost, doubled, disagreement, unfinished
    outcome_id: str
    what: str


class Evidence:
    """One scenario's outcomes and calls, and what was found wrong with them."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.plan = scenario.plan
        self.outcomes = scenario.outcomes
        self.truth = scenario.wire.truth
        self.entries = {entry.sequence: entry for entry in scenario.standin.journal.entries()}
        self.found: list[Violation] = []
        self.owners: dict[Number, set[str]] = defaultdict(set)
        for outcome in self.outcomes.values():
            for item in outcome.inputs:
                self.owners[key_of(outcome, item), item.max_to_object_ids].add(outcome.id)
        self.begun = first_claims(scenario)
        self.creates: dict[Number, list[Entry]] = defaultdict(list)
        for entry in self.entries.values():
            if entry.operation == "create" and entry.hub_id is not None:
                for key, number in asked(entry):
                    self.creates[key, number].append(entry)

    def wrong(self, kind: str, outcome_id: str, what: str) -> None:
        """Note something that must not be."""
        self.found.append(Violation(kind, outcome_id, what))


def first_claims(scenario: Scenario) -> dict[str, float]:
    """When each outcome was claimed for the first time."""
    begun: dict[str, float] = {}
    for moment, key, item in scenario.dynamo.writes:
        if item.get("status", {}).get("S") == Status.RUNNING.value:
            begun.setdefault(key, moment)
    return begun


def key_of(outcome: Outcome, item: InputOutcome) -> Key:
    """The limit that an input is about, as the simulated HubSpot names it."""
    pair = (object_type_id(outcome.from_object_type or "") or "", object_type_id(outcome.to_object_type or "") or "")
    return (HUBS[outcome.portal], *pair, item.category.value, item.type_id)


def asked(entry: Entry) -> list[Number]:
    """The limits and numbers that a journalled create asks for."""
    pair = tuple(object_type_id(name or "") or "" for name in (entry.from_object_type, entry.to_object_type))
    hub_id = entry.hub_id or 0
    return [
        ((hub_id, pair[0], pair[1], item["category"], item["typeId"]), item["maxToObjectIds"])
        for item in json.loads(entry.body)["inputs"]
    ]


def refused_by_itself(entry: Entry, key: Key, number: int) -> bool:
    """Whether HubSpot refused an input, and not only the batch it was in."""
    if entry.status is None or entry.status >= 500:
        return False
    if entry.status < 300:
        changed = [(one["category"], one["typeId"], one["maxToObjectIds"]) for one in entry.changed]
        return (*key[3:], number) not in changed
    return entry.status != 400 or len(asked(entry)) == 1
