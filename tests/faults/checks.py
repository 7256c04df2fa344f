"""What must be true at the end, whatever happened: the ledger against the stand-in's own state and journal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from batch_create.read_back import PAUSE
from local.hubspot.catalogue import Pair
from model.outcomes import InputOutcome, Outcome, Result, Status, Trigger, conclude
from tests.faults.evidence import Call, Evidence, Number, key_of
from tests.faults.order_checks import DONE, order_violations
from tests.faults.violation import Violation
from tests.faults.weather import LAG
from tests.support.words import INSTEAD

# Both sides keep milliseconds, and a read's answer is on its way a moment longer than the journal knows.
SLACK = 0.5
GIVEN_UP = "given up"  # how the reason of a dead letter begins
WORD = re.compile(r"[\w-]+")


def violations(evidence: Evidence, unreadable: Pair | None = None) -> Iterator[Violation]:
    """All that is wrong with what the ledger says and with the calls that were made.

    `unreadable` is the pair that nobody could read, whose outcomes alone may be UNCONFIRMED.
    """
    for outcome in evidence.outcomes.values():
        if not outcome.status.final:
            yield Violation("unfinished", outcome.id, f"ended as {outcome.status}: {outcome.reason}")
            continue
        yield from _results(evidence, outcome, unreadable)
    yield from _final_outcomes_stay(evidence)
    yield from _nothing_is_sent_blindly(evidence)
    yield from order_violations(evidence)


def _results(evidence: Evidence, outcome: Outcome, unreadable: Pair | None) -> Iterator[Violation]:
    for item in outcome.inputs:
        match item.result:
            case Result.APPLIED | Result.UNCHANGED:
                problem = _not_set(evidence, outcome, item)
            case Result.REJECTED:
                problem = _set_for_it_alone(evidence, outcome, item)
            case Result.PENDING if outcome.status is Status.FAILED:
                problem = _set_for_it_alone(evidence, outcome, item)
            case Result.SUPERSEDED:
                problem = _not_superseded(evidence, outcome, item)
            case Result.UNCONFIRMED:
                there = unreadable is not None and key_of(outcome, item)[:2] == tuple(unreadable)
                given_up = outcome.status is Status.FAILED and (outcome.reason or "").startswith(GIVEN_UP)
                known = there or given_up or _names_a_younger_doubt(evidence, outcome, item)
                problem = "" if known else _not_overwritten(evidence, outcome, item)
            case _:
                problem = f"in an outcome that is {outcome.status}"
        if problem:
            asked = f"{item.category} {item.type_id}={item.max_to_object_ids}"
            yield Violation("disagreement", outcome.id, f"{item.result} {asked} {problem}; {item.message}")
    if outcome.status is Status.FAILED:
        expected = outcome.trigger is Trigger.WEBHOOK or (outcome.reason or "").startswith(GIVEN_UP)
        if not expected:
            yield Violation("disagreement", outcome.id, f"FAILED without need: {outcome.reason}")
    elif outcome.inputs and conclude(outcome.inputs) is not outcome.status:
        results = [item.result.value for item in outcome.inputs]
        yield Violation("disagreement", outcome.id, f"{outcome.status} does not follow from {results}")


def _not_set(evidence: Evidence, outcome: Outcome, item: InputOutcome) -> str:
    begin = outcome.requested_at.timestamp() - LAG
    end = outcome.finished_at.timestamp() + SLACK if outcome.finished_at else 0
    spells = evidence.spells.get(key_of(outcome, item), [])
    for spell in spells:
        if spell.number == item.max_to_object_ids and spell.begin <= end and spell.end >= begin:
            return ""
    return f"but HubSpot did not have it between request and settlement, only {[spell.number for spell in spells]}"


def _not_overwritten(evidence: Evidence, outcome: Outcome, item: InputOutcome) -> str:
    """What may have been set and overwritten was sent, and the number that is told was there instead."""
    instead = INSTEAD.search(item.message or "")
    if not instead or not evidence.sent[key_of(outcome, item), item.max_to_object_ids]:
        return "but HubSpot could be read"
    return _not_set(evidence, outcome, replace(item, max_to_object_ids=int(instead[1])))


def _names_a_younger_doubt(evidence: Evidence, outcome: Outcome, item: InputOutcome) -> bool:
    """Whether the message names a younger request for the same limit of which nobody knows whether it was set."""
    named = [evidence.outcomes.get(word) for word in WORD.findall(item.message or "")]
    return any(
        key_of(other, one) == key_of(outcome, item) and one.result is Result.UNCONFIRMED
        for other in named
        if other and other.age > outcome.age
        for one in other.inputs
    )


def _set_for_it_alone(evidence: Evidence, outcome: Outcome, item: InputOutcome) -> str:
    key, number = key_of(outcome, item), item.max_to_object_ids
    alone = evidence.owners[key, number] == {outcome.id}
    return "but HubSpot took it" if alone and evidence.was_set(key, number) else ""


def _not_superseded(evidence: Evidence, outcome: Outcome, item: InputOutcome) -> str:
    other = evidence.outcomes.get(item.superseded_by or "")
    if other is None:
        return f"by {item.superseded_by}, which does not exist"
    if other.age <= outcome.age:
        return f"by {other.id}, which is older"
    same = [one for one in other.inputs if key_of(other, one) == key_of(outcome, item)]
    for one in same:
        if one.result in (*DONE, Result.SUPERSEDED):
            return ""
        # True all the same where its worker has died with the proof, and HubSpot cannot be read again.
        if one.result is Result.UNCONFIRMED and evidence.was_set(key_of(other, one), one.max_to_object_ids):
            return ""
    return f"by {other.id}, which is {[one.result.value for one in same]}"


def _final_outcomes_stay(evidence: Evidence) -> Iterator[Violation]:
    for outcome_id, before in evidence.snapshots.items():
        now = evidence.outcomes.get(outcome_id)
        if now is None:
            yield Violation("doubled", outcome_id, f"was {before.status} and is gone")
        elif (now.status, now.inputs) != (before.status, before.inputs):
            yield Violation("doubled", outcome_id, f"was {before.status} and became {now.status}")


def _nothing_is_sent_blindly(evidence: Evidence) -> Iterator[Violation]:
    """After a send that may have been applied, nothing is sent again that reading back has not looked for. Of numbers
    that belong to one request: another may ask for the same at any time.

    To believe that a number is absent takes two looks with a pause between them. One is enough where HubSpot had
    confirmed it, or another number of the limit was sent meanwhile, and the look may have shown another: then it is set
    once more.
    """
    for (key, number), calls in evidence.sent.items():
        if not evidence.is_of_one(key, number):
            continue
        (owner,) = evidence.owners[key, number]
        for first, second in pairwise(calls):
            if first.certainly_not_applied or (first.answered and (key, number) not in first.set):
                continue  # refused: the call, or this input of it
            looks = [read for read in evidence.reads[key[:2]] if first.sequence < read.sequence < second.sequence]
            asked = f"{key[3]}={number} by call {second.sequence} after call {first.sequence}"
            if not looks:
                sure = "was answered" if first.answered else "may have been applied"
                yield Violation("doubled", owner, f"sent {asked}, which {sure}, without a look")
            elif _span(looks) < PAUSE - SLACK and not _is_undone_between(evidence, first, second, (key, number), looks):
                yield Violation("doubled", owner, f"sent {asked} after a single look")


def _is_undone_between(evidence: Evidence, first: Call, second: Call, wanted: Number, looks: list[Call]) -> bool:
    """Whether one look can have shown another number than the one that was confirmed, or that competes with it."""
    key, number = wanted
    between = [call for call in evidence.creates if first.sequence < call.sequence < second.sequence]
    competes = any(limit == key and other != number for call in between for limit, other in call.asked)
    if not (competes or (first.answered and wanted in first.set)):
        return False
    return any(
        spell.number != number and spell.begin <= look.moment + _delay(look) and spell.end >= look.moment - LAG
        for look in looks
        for spell in evidence.spells.get(key, [])
    )


def _span(looks: list[Call]) -> float:
    """Seconds between the first look and the end of the last, whose answer may have been delayed."""
    return float(looks[-1].moment + _delay(looks[-1]) - looks[0].moment)


def _delay(call: Call) -> float:
    return float((call.struck or {}).get("delayMs", 0)) / 1000
