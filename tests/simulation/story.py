"""What happened to one request, told for people."""

from __future__ import annotations

import json

from aws.dynamodb import deserialise
from ledger.items import to_outcome
from tests.simulation.evidence import age_of, canonical, key_of
from tests.simulation.scenario import HUBS, Scenario
from tests.simulation.world import START


def story(scenario: Scenario, outcome_id: str, also: str = "") -> str:
    """What happened to one request, and to another one that has to do with it: their ledger entries, their messages and
    HubSpot's journal about their limits."""
    ids = [one for one in (outcome_id, also) if one]
    lines = [line for one in ids for line in _lines(scenario, one, f"{one} " if also else "")]
    outcomes = scenario.outcomes
    renewed = [one for one, everything in scenario.replayed.items() if everything]
    ages = {one: age_of(outcomes[one], outcomes, renewed)[0] for one in ids if one in outcomes}
    told = " and ".join(f"{one} as old as {_at(age / 1000).strip()}" for one, age in ages.items())
    return "\n".join([f"seed {scenario.plan.seed}, {told or outcome_id}", *sorted(dict.fromkeys(lines))])


def _lines(scenario: Scenario, outcome_id: str, name: str) -> list[str]:
    lines = []
    outcome = scenario.outcomes.get(outcome_id)
    for moment, key, item in scenario.dynamo.writes:
        if key == outcome_id:
            told = to_outcome(deserialise(item))
            results = " ".join(f"{one.type_id}={one.max_to_object_ids}:{one.result}" for one in told.inputs)
            lines.append(
                f"{_at(moment)} ledger   {name}{told.status} fence {item.get('fence', {}).get('N')} {results}"
                f" {told.reason or ''} {told.doubt or ''}"
            )
    messages = {message.id: message for queue in (scenario.queue, scenario.dead_letters) for message in queue.arrived}
    for message in messages.values():
        if message.id == outcome_id or message.attributes.get("OutcomeId", {}).get("StringValue") == outcome_id:
            lines += [f"{_at(moment)} message  {message.id} {what}" for moment, what in message.history]
    if outcome:
        numbers = {(item.type_id, item.max_to_object_ids) for item in outcome.inputs}
        heard = {one.sequence: one for one in scenario.wire.heard}
        for entry in scenario.standin.journal.entries():
            if canonical(entry) != canonical(outcome) or entry.hub_id != HUBS[outcome.portal]:
                continue
            if entry.operation == "create":
                asked = {(item["typeId"], item["maxToObjectIds"]) for item in json.loads(entry.body)["inputs"]}
                if not asked & numbers:
                    continue
            effect = entry.fault["effect"] if entry.fault else ""
            one = heard.get(entry.sequence)
            lines.append(
                f"{_at(entry.moment)} HubSpot  {entry.sequence} {entry.operation} {entry.status}"
                f" heard {one.status if one else '-'} by {one.worker if one else '-'} {effect} set {entry.changed}"
            )
        lines += [
            f"{_at(change.moment)} truth    {key} = {change.number}"
            for key, history in scenario.wire.truth.items()
            if key in {key_of(outcome, item) for item in outcome.inputs}
            for change in history
        ]
    return lines


def _at(moment: float) -> str:
    return f"{moment - START:12.3f}"
