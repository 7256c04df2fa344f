"""The youngest request wins: of each limit HubSpot holds what was asked for last, and nothing older came after it.

Nobody but the service writes in the stand-in, and all processes have one clock.
"""

from __future__ import annotations

from collections.abc import Iterator

from model.outcomes import Age, Outcome, Result
from tests.faults.evidence import FOREVER, Evidence, Key
from tests.faults.violation import Violation

DONE = (Result.APPLIED, Result.UNCHANGED)


def order_violations(evidence: Evidence) -> Iterator[Violation]:
    """All that is wrong with the order in which numbers were sent and set."""
    for key, spells in evidence.spells.items():
        yield from _the_youngest_stands(evidence, key)
        yield from _nothing_older_is_applied_later(evidence, key)
        yield from _nothing_older_is_sent_later(evidence, key)
        if key in evidence.state and spells[-1].number != evidence.state[key]:
            what = f"HubSpot has {evidence.state[key]} for {key}, and its journal {spells[-1].number}"
            yield Violation("disagreement", "", what)


def _the_youngest_stands(evidence: Evidence, key: Key) -> Iterator[Violation]:
    """At the end a limit has the number of the youngest of those requests whose number HubSpot has had, whether the
    service knew that or not, or whose outcome says so.

    A number that HubSpot can have had from any of several requests may stand if one of them is young enough.
    """
    sure: list[tuple[Age, Outcome, int]] = []
    perhaps: list[tuple[Age, Outcome, int]] = []
    for outcome, item in evidence.asking[key]:
        number = item.max_to_object_ids
        was_set = evidence.was_set(key, number)
        if item.result in DONE or (was_set and evidence.is_of_one(key, number)):
            sure.append((outcome.age, outcome, number))
        elif was_set:
            perhaps.append((outcome.age, outcome, number))
    if not sure:
        return
    age, youngest, number = max(sure, key=lambda claimant: claimant[0])
    last = evidence.spells[key][-1]
    there = evidence.state.get(key, last.number)
    if there in {number, *(other for younger, _, other in perhaps if younger > age)}:
        return
    if any(call.refused((key, number)) for call in evidence.sent[key, number] if call.moment > last.begin):
        return  # it was sent again, and HubSpot does not take it any more
    what = f"{key} has {there} of {sorted(evidence.owners.get((key, there), ()))}, and not {number} of the youngest"
    yield Violation("disagreement", youngest.id, what)


def _nothing_older_is_applied_later(evidence: Evidence, key: Key) -> Iterator[Violation]:
    """Of two requests that are both APPLIED, HubSpot received the older one's number before it had the other's."""
    applied = [
        (outcome.age, outcome.id, item.max_to_object_ids)
        for outcome, item in evidence.asking[key]
        if item.result is Result.APPLIED and evidence.is_of_one(key, item.max_to_object_ids)
    ]
    first_set, younger = FOREVER, ""  # of all younger ones
    for _, outcome_id, number in sorted(applied, reverse=True):
        received = [call.moment for call in evidence.sent[key, number] if (key, number) in call.set]
        if received and min(received) > first_set:
            what = f"{key}={number} is APPLIED, and was first sent after {younger} had been set, which is younger"
            yield Violation("disagreement", outcome_id, what, younger)
        own = min((spell.begin for spell in evidence.spells[key] if spell.number == number), default=FOREVER)
        first_set, younger = min((first_set, younger), (own, outcome_id))


def _nothing_older_is_sent_later(evidence: Evidence, key: Key) -> Iterator[Violation]:
    """Once a request's outcome says that its number is set, no older number of that limit is sent."""
    settled = sorted(
        (outcome.finished_at.timestamp(), outcome.age, outcome.id)
        for outcome, item in evidence.asking[key]
        if item.result in DONE and outcome.finished_at
    )
    for outcome, item in evidence.asking[key]:
        number = item.max_to_object_ids
        if not evidence.is_of_one(key, number):
            continue
        younger = next(((moment, other) for moment, age, other in settled if age > outcome.age), None)
        late = [call for call in evidence.sent[key, number] if younger and call.moment > younger[0]]
        if younger and late:
            what = f"{key}={number} was sent by call {late[0].sequence} after {younger[1]}, which is younger, was done"
            yield Violation("disagreement", outcome.id, what, younger[1])
