"""What the ledger says must be true: no request lost or doubled, and of each input what HubSpot's state shows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from api.response import answer
from local.hubspot.catalogue import object_type_id
from model.outcomes import InputOutcome, Outcome, Result, Status, Verdict
from tests.simulation.evidence import Evidence, key_of, refused_by_itself
from tests.simulation.plan import FEW_RECEIVES
from tests.simulation.transport import Set
from tests.support.words import INSTEAD

DONE = (Result.APPLIED, Result.UNCHANGED)
FINAL = {status.value for status in Status if status.final}


class LedgerChecks:
    """What is checked of the outcomes, and of how they were written."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence

    def check(self) -> None:
        """Note whatever is wrong."""
        self._every_promise_is_kept()
        for outcome in self.evidence.outcomes.values():
            self._outcome(outcome)
        self._final_outcomes_stay()
        self._attempts_stay()

    def _every_promise_is_kept(self) -> None:
        scenario = self.evidence.scenario
        for outcome_id in scenario.accepted:
            if outcome_id not in self.evidence.outcomes:
                self.evidence.wrong("lost", outcome_id, "was accepted and has no outcome")
        if scenario.queue.messages or scenario.dead_letters.messages:
            left = [*scenario.queue.messages.values(), *scenario.dead_letters.messages.values()]
            for message in left[:3]:
                self.evidence.wrong("unfinished", message.id, f"a message is left: {message.history[-4:]}")
        known = set(scenario.accepted) | set(scenario.messages)
        for outcome in self.evidence.outcomes.values():
            if not outcome.status.final:
                self.evidence.wrong("unfinished", outcome.id, f"ended as {outcome.status}: {outcome.reason}")
            if outcome.id not in known and outcome.trigger.value != "webhook":
                self.evidence.wrong("doubled", outcome.id, "nobody asked for this outcome")

    def _final_outcomes_stay(self) -> None:
        finals: dict[str, tuple[str, Any]] = {}
        for _, key, item in self.evidence.scenario.dynamo.writes:
            status = item.get("status", {}).get("S")
            now = (status, item.get("inputs"))
            if key in finals and finals[key] != now:
                self.evidence.wrong("doubled", key, f"was {finals[key][0]} and became {status}")
            if status in FINAL:
                finals.setdefault(key, now)

    def _attempts_stay(self) -> None:
        """Whatever is settled later, the attempts that were recorded stay, but for those beyond the latest 50."""
        last: dict[str, str] = {}
        for _, key, item in self.evidence.scenario.dynamo.writes:
            now, before = item.get("attempts", {}).get("S", "[]"), last.get(key, "[]")
            if not now.startswith(before[:-1]) and len(json.loads(now)) < 50:
                self.evidence.wrong(
                    "lost", key, f"{len(json.loads(before))} attempts were recorded, of which some are gone"
                )
            last[key] = now

    def _outcome(self, outcome: Outcome) -> None:
        for item in outcome.inputs:
            history = self.evidence.truth.get(key_of(outcome, item), [])
            check = getattr(self, f"_is_{item.result.value.lower()}")
            if problem := check(outcome, item, history):
                message = f"{item.result} {item.category} {item.type_id}={item.max_to_object_ids} {problem}"
                self.evidence.wrong("disagreement", outcome.id, f"{message}; {item.message}")
        if outcome.status is Status.FAILED and not self._may_fail(outcome):
            self.evidence.wrong("disagreement", outcome.id, f"FAILED without need: {outcome.reason}")
        if outcome.status.final and outcome.status is not Status.FAILED and outcome.inputs:
            self._answered_as_it_ended(outcome)

    def _answered_as_it_ended(self, outcome: Outcome) -> None:
        """Whoever asks over HTTP hears what became of each input, and nothing of others'."""
        status, told = answer(outcome)
        body = json.loads(told) if isinstance(told, str) else told
        if status >= 400:
            agrees = outcome.status is Status.REJECTED
        else:
            rows = {(row["category"], row["typeId"], row["userEnforcedMaxToObjectIds"]) for row in body["results"]}
            done = {(*item.key, item.max_to_object_ids) for item in outcome.inputs if item.result in DONE}
            failed = any(item.result not in DONE for item in outcome.inputs)
            agrees = rows == done and bool(body.get("errors")) == failed
        if not agrees:
            self.evidence.wrong("disagreement", outcome.id, f"{outcome.status}, and is answered {status} {body}")

    def _may_fail(self, outcome: Outcome) -> bool:
        reason = outcome.reason or ""
        if reason.startswith("given up"):
            return self.evidence.plan.max_receives == FEW_RECEIVES or outcome.trigger.value == "schedule"
        return outcome.trigger.value == "webhook"  # its caller was told

    def _is_applied(self, outcome: Outcome, item: InputOutcome, history: list[Set]) -> str:
        began, ended = self._span(outcome)
        began -= self.evidence.scenario.standin.settings.read_lag_seconds
        for change, until in _spans(history):
            if change.number == item.max_to_object_ids and change.moment <= ended and until >= began:
                return ""
        return f"but HubSpot never had it: {[(c.moment, c.number) for c in history]}"

    _is_unchanged = _is_applied

    def _span(self, outcome: Outcome) -> tuple[float, float]:
        """From the first claim of an outcome to its end; the ledger has whole milliseconds."""
        ended = outcome.finished_at.timestamp() if outcome.finished_at else self.evidence.scenario.world.now
        return self.evidence.begun.get(outcome.id, 0.0), ended + 0.002

    def _is_rejected(self, outcome: Outcome, item: InputOutcome, history: list[Set]) -> str:
        key, number = key_of(outcome, item), item.max_to_object_ids
        if self.evidence.owners[key, number] == {outcome.id} and any(change.number == number for change in history):
            return "but HubSpot took it"
        began, ended = self._span(outcome)
        lag = self.evidence.scenario.standin.settings.read_lag_seconds
        says_so = "already" in (item.message or "")  # the stand-in's word; other refusals have other reasons
        if says_so and any(
            before.number == number and before.moment < began - lag and until > ended
            for before, until in _spans(history)
        ):
            return "but HubSpot had it all the time"
        if not any(refused_by_itself(entry, key, number) for entry in self.evidence.creates[key, number]):
            return "" if (item.message or "").startswith("HubSpot ") else "but HubSpot never refused it by itself"
        return ""

    def _is_superseded(self, outcome: Outcome, item: InputOutcome, history: list[Set]) -> str:
        other = self.evidence.outcomes.get(item.superseded_by or "")
        if other is None:
            return f"by {item.superseded_by}, which does not exist"
        if (other.requested_at, other.id) <= (outcome.requested_at, outcome.id):
            return f"by {other.id}, which is older"
        same = [one for one in other.inputs if one.key == item.key]
        if not any(one.result in (Result.APPLIED, Result.UNCHANGED, Result.SUPERSEDED) for one in same):
            # True all the same where its worker has died with the proof, and HubSpot can never be read again.
            unproved = (one.max_to_object_ids for one in same if one.result is Result.UNCONFIRMED)
            if not {change.number for change in history}.intersection(unproved):
                return f"by {other.id}, which is {[one.result for one in same]}"
        return ""

    def _is_unconfirmed(self, outcome: Outcome, item: InputOutcome, history: list[Set]) -> str:
        if outcome.status is Status.FAILED:
            return ""
        if instead := INSTEAD.search(item.message or ""):
            # In doubt, refused when it was sent again, and another number there: each of these must be true.
            key, number = key_of(outcome, item), item.max_to_object_ids
            if not any(refused_by_itself(entry, key, number) for entry in self.evidence.creates[key, number]):
                return "but HubSpot never refused it by itself"
            if not any(attempt.verdict is Verdict.READ_BACK for attempt in outcome.attempts):
                return "but was never read back"
            told = replace(item, max_to_object_ids=int(instead[1]))
            return self._is_applied(outcome, told, history)
        unreadable = self.evidence.plan.unreadable
        pair = tuple(object_type_id(name or "") for name in (outcome.from_object_type, outcome.to_object_type))
        return "" if unreadable and pair == tuple(unreadable) else "but HubSpot could be read"

    def _is_pending(self, outcome: Outcome, item: InputOutcome, history: list[Set]) -> str:
        if outcome.status is not Status.FAILED:
            return f"in an outcome that is {outcome.status}" if outcome.status.final else ""
        key, number = key_of(outcome, item), item.max_to_object_ids
        if self.evidence.owners[key, number] == {outcome.id} and any(change.number == number for change in history):
            return "but HubSpot took it"
        return ""


def _spans(history: list[Set]) -> Iterator[tuple[Set, float]]:
    """Each number that a limit had, and until when."""
    for index, change in enumerate(history):
        yield change, history[index + 1].moment if index + 1 < len(history) else float("inf")
