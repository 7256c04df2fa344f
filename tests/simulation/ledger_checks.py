"""What the ledger says must be true: no request lost or doubled, and of each input what HubSpot's state shows."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from api.response import answer
from aws.dynamodb import Table, deserialise
from ledger.history import Filter, History
from ledger.items import to_outcome
from ledger.ledger import ATTEMPTS_KEPT
from local.hubspot.catalogue import object_type_id
from model.outcomes import InputOutcome, Outcome, Result, Status, Trigger, Verdict
from model.records import iso, milliseconds
from tests.simulation.dynamo import Dynamo
from tests.simulation.evidence import FINAL, Evidence, canonical, key_of, refused_by_itself
from tests.simulation.plan import HOUR, Ask
from tests.simulation.transport import Key, Set
from tests.support.words import INSTEAD, RECORDED

DONE = (Result.APPLIED, Result.UNCHANGED)
WORD = re.compile(r"[\w-]+")


def _newest(outcome: Outcome) -> tuple[str, str]:
    return iso(outcome.requested_at), outcome.id


def _attempts_text(item: dict[str, Any]) -> str:
    return str(item.get("attempts", {}).get("S", "[]"))


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
        self._ages_stay()
        self._ages_are_those_of_the_messages()
        self._repetitions_are_one_request()
        self._lists_are_whole()

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
        last: dict[str, dict[str, Any]] = {}
        for _, key, item in self.evidence.scenario.dynamo.writes:
            earlier = last.get(key, {})
            if not _attempts_text(item).startswith(_attempts_text(earlier)[:-1]):
                # The text can change, as a correlation id is written once where two are the same.
                now, before = (to_outcome(deserialise(each)).attempts for each in (item, earlier))
                if now[: len(before)] != before and len(now) < ATTEMPTS_KEPT:
                    self.evidence.wrong("lost", key, f"{len(before)} attempts were recorded, of which some are gone")
            last[key] = item

    def _ages_stay(self) -> None:
        """No later write of an outcome changes when it was asked for."""
        first: dict[str, Any] = {}
        for _, key, item in self.evidence.scenario.dynamo.writes:
            if "inputs" in item and item.get("requestedAt") != first.setdefault(key, item.get("requestedAt")):
                self.evidence.wrong("disagreement", key, f"was asked for at {first[key]}, now at {item['requestedAt']}")

    def _ages_are_those_of_the_messages(self) -> None:
        """What came by the queue is as old as its own message, whichever message it was run from."""
        for message in self.evidence.scenario.queue.arrived:
            outcome = self.evidence.outcomes.get(message.id)
            if outcome and milliseconds(outcome.requested_at) != int(message.sent_timestamp * 1000):
                asked_at = iso(outcome.requested_at)
                self.evidence.wrong("disagreement", outcome.id, f"is of {message.sent_timestamp}, not of {asked_at}")

    def _repetitions_are_one_request(self) -> None:
        """A key that is given again with the same request has one outcome, under whichever names of the object types
        and in whichever version it comes. Who gives no key is never told that a key was used before."""
        scenario = self.evidence.scenario
        sharing: dict[Any, list[Ask]] = defaultdict(list)
        for ask in self.evidence.plan.asks:
            if ask.key:
                sharing[_scope(ask)].append(ask)
        same = {scope for scope, asks in sharing.items() if len({_content(ask) for ask in asks}) == 1}
        outcomes: dict[Any, set[str]] = defaultdict(set)
        for outcome_id, asks in scenario.accepted.items():
            for ask in asks:
                if ask.key and _scope(ask) in same:
                    outcomes[_scope(ask)].add(outcome_id)
        for scope, ids in outcomes.items():
            if len(ids) > 1:
                self.evidence.wrong("doubled", min(ids), f"{scope} has the outcomes {sorted(ids)}", max(ids))
        for message_id, ask in scenario.messages.items():
            if ask.key and _scope(ask) in same and message_id in self.evidence.outcomes:
                self.evidence.wrong(
                    "disagreement", message_id, f"is {ask.key} again, and was taken for another request"
                )
        for ask, status, outcome_id in scenario.refused:
            if ask.key is None:
                self.evidence.wrong("disagreement", outcome_id, f"{status} to one who gave no key")
            elif status == 422 and _scope(ask) in same:
                first = min(outcomes[_scope(ask)], default="")
                self.evidence.wrong("disagreement", first, f"422 to {ask.key}, which asks for the same again")

    def _lists_are_whole(self) -> None:
        """Once the indexes have caught up, a portal's pages have each of its outcomes once, the newest first."""
        expected: dict[str, list[str]] = defaultdict(list)
        for outcome in self.evidence.outcomes.values():
            expected[outcome.portal].append(outcome.id)
        at_rest = Dynamo(lambda operation: "", lambda: 0, index_lag=0)
        for item in self.evidence.scenario.dynamo.items.values():
            at_rest.put_item(Item=item, ConditionExpression="attribute_not_exists(id)")
        client: Any = at_rest
        history = History(Table(client, "outcomes"))
        for portal, ids in expected.items():
            listed: list[Outcome] = []
            wanted = Filter(portal, limit=100)
            while wanted.after:
                page = history.page(wanted)
                listed += page.outcomes
                wanted = replace(wanted, after=page.after or "")
            found = [outcome.id for outcome in listed]
            if lacking := set(ids).symmetric_difference(found):
                self.evidence.wrong("lost", min(lacking), f"{portal}'s list has not, or should not have, {lacking}")
            if len(set(found)) < len(found) or found != [each.id for each in sorted(listed, key=_newest, reverse=True)]:
                self.evidence.wrong("disagreement", min(found), f"{portal}'s list is not in order, or has some twice")

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
        reason, plan = outcome.reason or "", self.evidence.plan
        if reason.startswith("given up after"):
            began, ended = self._span(outcome)
            heard = outcome.requested_at.timestamp() if outcome.trigger is Trigger.WEBHOOK else began
            return ended - heard >= plan.give_up_after * HOUR - plan.skew * 2
        if reason.startswith("given up"):
            no_request = not outcome.inputs  # its key is another's
            return no_request or outcome.trigger is Trigger.SCHEDULE or self._has_killed_its_readers(outcome.id)
        return outcome.trigger.value == "webhook"  # its caller was told

    def _has_killed_its_readers(self, outcome_id: str) -> bool:
        """Whether a letter of an outcome was to be run more often than a letter is."""
        writes = self.evidence.scenario.dynamo.writes
        return any(key == outcome_id and int(item.get("letterRuns", {}).get("N", 0)) > 3 for _, key, item in writes)

    def _is_applied(self, outcome: Outcome, item: InputOutcome, history: list[Set]) -> str:
        began, ended = self._span(outcome)
        began -= self.evidence.scenario.standin.settings.read_lag_seconds
        for change, until in _spans(history):
            if change.number == item.max_to_object_ids and change.moment <= ended and until >= began:
                return ""
        return f"but HubSpot never had it: {[(c.moment, c.number) for c in history]}"

    _is_unchanged = _is_applied

    def _span(self, outcome: Outcome) -> tuple[float, float]:
        """From the first claim of an outcome to its end."""
        ended = self.evidence.ended.get(outcome.id, self.evidence.scenario.world.now)
        return self.evidence.begun.get(outcome.id, 0.0), ended

    def _is_rejected(self, outcome: Outcome, item: InputOutcome, history: list[Set]) -> str:
        key, number = key_of(outcome, item), item.max_to_object_ids
        if any(alone for _, alone in self.evidence.sets(outcome, item)) and not self._is_replayed(outcome, key, number):
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
        if self.evidence.ages[other.id] <= self.evidence.ages[outcome.id]:
            return f"by {other.id}, which is older"
        same = [one for one in other.inputs if key_of(other, one) == key_of(outcome, item)]
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
        if self._names_a_younger_doubt(outcome, item):
            return ""
        if RECORDED in (item.message or ""):
            # A run that died before it was settled found it in doubt, refused, and another number there.
            key, number = key_of(outcome, item), item.max_to_object_ids
            if any(refused_by_itself(each, key, number) for each in self.evidence.creates[key, number]):
                return ""
        unreadable = self.evidence.plan.unreadable
        return "" if unreadable and canonical(outcome) == tuple(unreadable) else "but HubSpot could be read"

    def _names_a_younger_doubt(self, outcome: Outcome, item: InputOutcome) -> bool:
        """Whether the message names a younger request for the same limit of which nobody knows whether it was set."""
        named = (self.evidence.outcomes.get(word) for word in WORD.findall(item.message or ""))
        return any(
            key_of(other, one) == key_of(outcome, item)
            and (one.result is Result.UNCONFIRMED or (one.result is Result.PENDING and other.status is Status.FAILED))
            for other in named
            if other and self.evidence.ages[other.id] > self.evidence.ages[outcome.id]
            for one in other.inputs
        )

    def _is_pending(self, outcome: Outcome, item: InputOutcome, history: list[Set]) -> str:
        if outcome.status is not Status.FAILED:
            return f"in an outcome that is {outcome.status}" if outcome.status.final else ""
        key, number = key_of(outcome, item), item.max_to_object_ids
        if any(alone for _, alone in self.evidence.sets(outcome, item)) and not self._is_replayed(outcome, key, number):
            return "but HubSpot took it"
        return ""

    def _is_replayed(self, outcome: Outcome, key: Key, number: int) -> bool:
        """Whether a replay of an outcome, which is of the same age, can have set its number."""
        return self.evidence.owners[key, number] != {outcome.id}


def _scope(ask: Ask) -> tuple[str, bool, str | None]:
    """Within what a key names one request: the portal, and whether it comes by HTTP, from the one client there is."""
    return ask.portal, ask.way in ("webhook", "async"), ask.key


def _content(ask: Ask) -> tuple[Any, ...]:
    """What is asked for, under the object types' ids."""
    return *(object_type_id(name) for name in ask.pair), frozenset(ask.inputs)


def _spans(history: list[Set]) -> Iterator[tuple[Set, float]]:
    """Each number that a limit had, and until when."""
    for index, change in enumerate(history):
        yield change, history[index + 1].moment if index + 1 < len(history) else float("inf")
