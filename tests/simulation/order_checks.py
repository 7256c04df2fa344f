"""The youngest request wins: of each limit HubSpot holds what was asked for last, and nothing older came after it."""

from __future__ import annotations

from local.hubspot.journal import Entry
from model.outcomes import InputOutcome, Outcome, Result
from tests.simulation.evidence import Age, Evidence, changed, refused_by_itself
from tests.simulation.transport import Key, Set

DONE = (Result.APPLIED, Result.UNCHANGED)


class OrderChecks:
    """What is checked of the order of requests. Nobody but the service writes in the simulated HubSpot."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence

    def check(self) -> None:
        """Note whatever is wrong."""
        for key, history in self.evidence.truth.items():
            self._the_youngest_stands(key, history)
            self._nothing_older_is_applied_later(key, history)
            self._nothing_older_is_sent_later(key)

    def _the_youngest_stands(self, key: Key, history: list[Set]) -> None:
        """At the end a limit has the number of the youngest of those requests whose number HubSpot has had, whether the
        service knew that or not, or whose outcome says so.

        Where HubSpot can have had a number from any of several requests, that number may stand if one of them is young
        enough.
        """
        evidence = self.evidence
        sure: list[tuple[Age, Outcome, int]] = []
        perhaps: list[tuple[Age, Outcome, int]] = []
        for outcome, item in evidence.asking[key]:
            claimant = (evidence.ages[outcome.id], outcome, item.max_to_object_ids)
            sets = evidence.sets(outcome, item)
            if item.result in DONE or any(alone for _, alone in sets):
                sure.append(claimant)
            elif sets:
                perhaps.append(claimant)
        if not sure:
            return
        age, youngest, number = max(sure, key=lambda claimant: claimant[0])
        last = history[-1]
        if last.number in {number, *(other for younger, _, other in perhaps if younger > age)}:
            return
        if any(refused_by_itself(entry, key, number) for entry in self._received(key, number, last.moment)):
            return  # it was sent again, and HubSpot does not take it any more
        owner = next(iter(sorted(evidence.owners[key, last.number])), "")
        what = f"{key} has {last.number} of {owner}, and not {number} of {youngest.id}, which is the youngest"
        evidence.wrong("undone", youngest.id, what, owner)

    def _received(self, key: Key, number: int, since: float) -> list[Entry]:
        return [entry for entry in self.evidence.creates[key, number] if entry.moment > since]

    def _nothing_older_is_applied_later(self, key: Key, history: list[Set]) -> None:
        """Of two requests that are both APPLIED, HubSpot received the older one's number before it had the other's."""
        evidence = self.evidence
        applied = [
            (evidence.ages[outcome.id], outcome, item)
            for outcome, item in evidence.asking[key]
            if item.result is Result.APPLIED and evidence.owner(key, item.max_to_object_ids)
        ]
        first_set: tuple[float, str] = (float("inf"), "")  # of all younger ones
        for _, outcome, item in sorted(applied, key=lambda one: one[0], reverse=True):
            number = item.max_to_object_ids
            received = [entry.moment for entry in evidence.creates[key, number] if (key, number) in changed(entry)]
            if received and min(received) > first_set[0]:
                what = (
                    f"{key}={number} is APPLIED, and was first sent after {first_set[1]} had been set, which is younger"
                )
                evidence.wrong("disagreement", outcome.id, what, first_set[1])
            own = min((change.moment for change in history if change.number == number), default=float("inf"))
            first_set = min(first_set, (own, outcome.id))

    def _nothing_older_is_sent_later(self, key: Key) -> None:
        """Once a request's outcome says that its number is set, no older number of that limit is sent."""
        evidence = self.evidence
        settled = sorted(
            ((evidence.ended[outcome.id], evidence.ages[outcome.id], outcome.id) for outcome, _ in self._done(key)),
        )
        for outcome, item in evidence.asking[key]:
            age, number = evidence.ages[outcome.id], item.max_to_object_ids
            if evidence.owner(key, number) is None:
                continue
            younger = next(((moment, other) for moment, its, other in settled if its > age), None)
            if younger and (sent := self._received(key, number, max(younger[0], evidence.born[outcome.id]))):
                what = (
                    f"{key}={number} was sent by call {sent[0].sequence} after {younger[1]}, which is younger, was done"
                )
                evidence.wrong("disagreement", outcome.id, what, younger[1])

    def _done(self, key: Key) -> list[tuple[Outcome, InputOutcome]]:
        return [
            (outcome, item)
            for outcome, item in self.evidence.asking[key]
            if item.result in DONE and outcome.id in self.evidence.ended
        ]
