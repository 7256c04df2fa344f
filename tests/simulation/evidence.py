"""What a scenario that was played has left: the ledger's outcomes, HubSpot's state and its journal, side by side."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from local.hubspot.catalogue import object_type_id
from local.hubspot.journal import Entry
from model.outcomes import InputOutcome, Outcome, Status
from model.records import milliseconds
from tests.simulation.scenario import HUBS, Scenario
from tests.simulation.transport import Key, Set

Number = tuple[Key, int]
Age = tuple[int, str]
FINAL = {status.value for status in Status if status.final}


@dataclass(frozen=True)
class Violation:
    """Something that must not be: what kind, of which outcome, and how. `also` is another outcome that has to do with
    it."""

    kind: str  # lost, doubled, disagreement, undone, unfinished
    outcome_id: str
    what: str
    also: str = ""


class Evidence:
    """One scenario's outcomes and calls, and what was found wrong with them. All moments are by the true clock."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.plan = scenario.plan
        self.outcomes = scenario.outcomes
        self.truth = scenario.wire.truth
        self.entries = {entry.sequence: entry for entry in scenario.standin.journal.entries()}
        self.found: list[Violation] = []
        renewed = {outcome_id for outcome_id, everything in scenario.replayed.items() if everything}
        self.ages = {outcome.id: age_of(outcome, self.outcomes, renewed) for outcome in self.outcomes.values()}
        self.asking: dict[Key, list[tuple[Outcome, InputOutcome]]] = defaultdict(list)
        self.owners: dict[Number, set[str]] = defaultdict(set)
        for outcome in self.outcomes.values():
            for item in outcome.inputs:
                key = key_of(outcome, item)
                self.asking[key].append((outcome, item))
                self.owners[key, item.max_to_object_ids].add(outcome.id)
        self.born: dict[str, float] = {}  # when each outcome was written for the first time
        self.begun: dict[str, float] = {}  # when it was claimed for the first time
        self.ended: dict[str, float] = {}  # when it became final
        for moment, item_id, written in scenario.dynamo.writes:
            status = written.get("status", {}).get("S")
            self.born.setdefault(item_id, moment)
            if status == Status.RUNNING.value:
                self.begun.setdefault(item_id, moment)
            if status in FINAL:
                self.ended.setdefault(item_id, moment)
        self.creates: dict[Number, list[Entry]] = defaultdict(list)
        for entry in self.entries.values():
            if entry.operation == "create" and entry.hub_id is not None:
                for key, number in asked(entry):
                    self.creates[key, number].append(entry)

    def wrong(self, kind: str, outcome_id: str, what: str, also: str = "") -> None:
        """Note something that must not be."""
        self.found.append(Violation(kind, outcome_id, what, also))

    def owners_by(self, key: Key, number: int, moment: float) -> set[Age]:
        """The ages of those requests that can have set a limit to a number by then. One age has one request, together
        with its replays for what it did not set."""
        return {self.ages[owner] for owner in self.owners[key, number] if self.born[owner] <= moment}

    def owner(self, key: Key, number: int) -> Age | None:
        """The age of the one request that asks for a number, or None where several do."""
        ages = self.owners_by(key, number, float("inf"))
        return next(iter(ages)) if len(ages) == 1 else None

    def sets(self, outcome: Outcome, item: InputOutcome) -> list[tuple[Set, bool]]:
        """When a limit took a request's number since there was that request; whether nobody else can have set it."""
        key, number, age = key_of(outcome, item), item.max_to_object_ids, self.ages[outcome.id]
        return [
            (change, self.owners_by(key, number, change.moment) == {age})
            for change in self.truth.get(key, [])
            if change.number == number and change.moment >= self.born[outcome.id]
        ]


def age_of(outcome: Outcome, outcomes: Mapping[str, Outcome], renewed: Collection[str] = ()) -> Age:
    """What decides which of two requests is the younger. A replay has the age of the request that it replays, unless it
    is one of the `renewed`, which replay everything."""
    while outcome.replay_of and outcome.id not in renewed and outcome.replay_of in outcomes:
        outcome = outcomes[outcome.replay_of]
    return outcome.age if outcome.id not in renewed else (milliseconds(outcome.requested_at), outcome.id)


def key_of(outcome: Outcome, item: InputOutcome) -> Key:
    """The limit that an input is about, as the simulated HubSpot names it."""
    return (HUBS[outcome.portal], *canonical(outcome), item.category.value, item.type_id)


def canonical(named: Outcome | Entry) -> tuple[str, str]:
    """The ids of a pair's object types, whatever they are called."""
    return object_type_id(named.from_object_type or "") or "", object_type_id(named.to_object_type or "") or ""


def asked(entry: Entry) -> list[Number]:
    """The limits and numbers that a journalled create asks for."""
    return _numbers(entry, json.loads(entry.body)["inputs"])


def changed(entry: Entry) -> list[Number]:
    """The limits that a journalled create has set, and to which numbers."""
    return _numbers(entry, entry.changed)


def _numbers(entry: Entry, rows: Iterable[Mapping[str, object]]) -> list[Number]:
    hub_id, pair = entry.hub_id or 0, canonical(entry)
    return [
        ((hub_id, *pair, str(row["category"]), int(str(row["typeId"]))), int(str(row["maxToObjectIds"])))
        for row in rows
    ]


def refused_by_itself(entry: Entry, key: Key, number: int) -> bool:
    """Whether HubSpot refused an input, and not only the batch it was in."""
    if entry.status is None or entry.status >= 500:
        return False
    if entry.status < 300:
        return (key, number) not in changed(entry)
    return entry.status != 400 or len(asked(entry)) == 1
