"""What must be true at the end, whatever happened: the ledger against the simulated HubSpot's own state and journal."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from aws.dynamodb import deserialise
from batch_create.plan import is_label
from ledger.items import to_outcome
from local.hubspot.catalogue import object_type_id
from local.hubspot.journal import Entry
from model.contract import LimitInput
from model.outcomes import InputOutcome, Outcome, Result, Status, Verdict
from tests.simulation.plan import FEW_RECEIVES
from tests.simulation.scenario import HUBS, Scenario
from tests.simulation.transport import Heard, Key, Set
from tests.simulation.world import START
from tests.support.words import INSTEAD

FINAL = {status.value for status in Status if status.final}
STALE_AFTER = 120.0  # seconds between a settlement and the older send that undoes it; less is two workers at once
PAUSE_AT_LEAST = 2.0  # seconds from a first reading that does not show a limit to the one that is believed
Number = tuple[Key, int]


@dataclass(frozen=True)
class Violation:
    """Something that must not be: what kind, of which outcome, and how."""

    kind: str  # lost, doubled, disagreement, unfinished
    outcome_id: str
    what: str


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
    return _Checks(scenario).report()


class _Checks:
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
                self.owners[_key(outcome, item), item.max_to_object_ids].add(outcome.id)
        self.begun = self._first_claims()
        self.creates: dict[Number, list[Entry]] = defaultdict(list)
        for entry in self.entries.values():
            if entry.operation == "create" and entry.hub_id is not None:
                for key, number in _asked(entry):
                    self.creates[key, number].append(entry)

    def report(self) -> Report:
        self._every_promise_is_kept()
        for outcome in self.outcomes.values():
            self._outcome(outcome)
        self._final_outcomes_stay()
        self._attempts_stay()
        self._tokens_are_refreshed_by_one()
        self._nothing_is_sent_blindly()
        self._nothing_is_undone()
        self._quota_is_kept()
        scenario, plan = self.scenario, self.plan
        creates = [entry for entry in self.entries.values() if entry.operation == "create"]
        needed = {(o.portal, o.from_object_type, o.to_object_type, o.id) for o in self.outcomes.values() if o.inputs}
        return Report(
            seeds=1,
            requests=plan.requests,
            accepted=len(scenario.accepted),
            statuses=Counter(outcome.status.value for outcome in self.outcomes.values()),
            results=Counter(item.result.value for outcome in self.outcomes.values() for item in outcome.inputs),
            calls=len(creates),
            needed=len(needed),
            reads=sum(entry.operation == "read" for entry in self.entries.values()),
            dead_letters=len(scenario.dead_letters.arrived),
            kills=Counter({point.value: number for point, number in scenario.kills.items()}),
            steps=scenario.world.steps,
            violations=[(plan.seed, violation) for violation in self.found],
        )

    def _wrong(self, kind: str, outcome_id: str, what: str) -> None:
        self.found.append(Violation(kind, outcome_id, what))

    # ------------------------------------------------------------------------------------------------- lost and doubled
    def _every_promise_is_kept(self) -> None:
        scenario = self.scenario
        for outcome_id in scenario.accepted:
            if outcome_id not in self.outcomes:
                self._wrong("lost", outcome_id, "was accepted and has no outcome")
        if scenario.queue.messages or scenario.dead_letters.messages:
            left = [*scenario.queue.messages.values(), *scenario.dead_letters.messages.values()]
            for message in left[:3]:
                self._wrong("unfinished", message.id, f"a message is left: {message.history[-4:]}")
        known = set(scenario.accepted) | set(scenario.messages)
        for outcome in self.outcomes.values():
            if not outcome.status.final:
                self._wrong("unfinished", outcome.id, f"ended as {outcome.status}: {outcome.reason}")
            if outcome.id not in known and outcome.trigger.value != "webhook":
                self._wrong("doubled", outcome.id, "nobody asked for this outcome")

    def _final_outcomes_stay(self) -> None:
        finals: dict[str, tuple[str, Any]] = {}
        for _, key, item in self.scenario.dynamo.writes:
            status = item.get("status", {}).get("S")
            now = (status, item.get("inputs"))
            if key in finals and finals[key] != now:
                self._wrong("doubled", key, f"was {finals[key][0]} and became {status}")
            if status in FINAL:
                finals.setdefault(key, now)

    def _attempts_stay(self) -> None:
        """Whatever is settled later, the attempts that were recorded stay, but for those beyond the latest 50."""
        last: dict[str, str] = {}
        for _, key, item in self.scenario.dynamo.writes:
            now, before = item.get("attempts", {}).get("S", "[]"), last.get(key, "[]")
            if not now.startswith(before[:-1]) and len(json.loads(now)) < 50:
                self._wrong("lost", key, f"{len(json.loads(before))} attempts were recorded, of which some are gone")
            last[key] = now

    def _tokens_are_refreshed_by_one(self) -> None:
        """No two workers refresh a token at the same time, and the new refresh token is never lost."""
        plan, heard = self.plan, [one for one in self.scenario.wire.heard if one.operation == "token"]
        if plan.stall:
            return  # a worker that stood still outlives its lock
        for first, second in pairwise(sorted(heard, key=lambda one: one.sent_at)):
            if second.sent_at < first.ended_at:
                self._wrong("doubled", str(second.sequence), "two workers refreshed a token at once")
        faulty = any(order["operation"] == "token" for order in plan.faults)
        if plan.broken_oauth or plan.crash or plan.aws_fails or plan.refused_connections or faulty:
            return
        for one in heard:
            if refusal := self.entries[one.sequence].refusal:
                self._wrong("disagreement", str(one.sequence), f"a refresh was refused: {refusal}")

    # ---------------------------------------------------------------------------------------------------- disagreements
    def _outcome(self, outcome: Outcome) -> None:
        for item in outcome.inputs:
            history = self.truth.get(_key(outcome, item), [])
            check = getattr(self, f"_is_{item.result.value.lower()}")
            if problem := check(outcome, item, history):
                message = f"{item.result} {item.category} {item.type_id}={item.max_to_object_ids} {problem}"
                self._wrong("disagreement", outcome.id, f"{message}; {item.message}")
        if outcome.status is Status.FAILED and not self._may_fail(outcome):
            self._wrong("disagreement", outcome.id, f"FAILED without need: {outcome.reason}")

    def _may_fail(self, outcome: Outcome) -> bool:
        reason = outcome.reason or ""
        if reason.startswith("given up"):
            return self.plan.max_receives == FEW_RECEIVES or outcome.trigger.value == "schedule"
        return outcome.trigger.value == "webhook"  # its caller was told

    def _is_applied(self, outcome: Outcome, item: InputOutcome, history: list[Set]) -> str:
        began, ended = self._span(outcome)
        began -= self.scenario.standin.settings.read_lag_seconds
        for change, until in _spans(history):
            if change.number == item.max_to_object_ids and change.moment <= ended and until >= began:
                return ""
        return f"but HubSpot never had it: {[(c.moment, c.number) for c in history]}"

    _is_unchanged = _is_applied

    def _span(self, outcome: Outcome) -> tuple[float, float]:
        """From the first claim of an outcome to its end; the ledger has whole milliseconds."""
        ended = outcome.finished_at.timestamp() if outcome.finished_at else self.scenario.world.now
        return self.begun.get(outcome.id, 0.0), ended + 0.002

    def _is_rejected(self, outcome: Outcome, item: InputOutcome, history: list[Set]) -> str:
        key, number = _key(outcome, item), item.max_to_object_ids
        if self.owners[key, number] == {outcome.id} and any(change.number == number for change in history):
            return "but HubSpot took it"
        began, ended = self._span(outcome)
        lag = self.scenario.standin.settings.read_lag_seconds
        says_so = "already" in (item.message or "")  # the stand-in's word; other refusals have other reasons
        if says_so and any(
            before.number == number and before.moment < began - lag and until > ended
            for before, until in _spans(history)
        ):
            return "but HubSpot had it all the time"
        if not any(_refused_by_itself(entry, key, number) for entry in self.creates[key, number]):
            return "" if (item.message or "").startswith("HubSpot ") else "but HubSpot never refused it by itself"
        return ""

    def _is_superseded(self, outcome: Outcome, item: InputOutcome, history: list[Set]) -> str:
        other = self.outcomes.get(item.superseded_by or "")
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
            key, number = _key(outcome, item), item.max_to_object_ids
            if not any(_refused_by_itself(entry, key, number) for entry in self.creates[key, number]):
                return "but HubSpot never refused it by itself"
            if not any(attempt.verdict is Verdict.READ_BACK for attempt in outcome.attempts):
                return "but was never read back"
            told = item.model_copy(update={"max_to_object_ids": int(instead[1])})
            return self._is_applied(outcome, told, history)
        unreadable = self.plan.unreadable
        pair = tuple(object_type_id(name or "") for name in (outcome.from_object_type, outcome.to_object_type))
        return "" if unreadable and pair == tuple(unreadable) else "but HubSpot could be read"

    def _is_pending(self, outcome: Outcome, item: InputOutcome, history: list[Set]) -> str:
        if outcome.status is not Status.FAILED:
            return f"in an outcome that is {outcome.status}" if outcome.status.final else ""
        key, number = _key(outcome, item), item.max_to_object_ids
        if self.owners[key, number] == {outcome.id} and any(change.number == number for change in history):
            return "but HubSpot took it"
        return ""

    # ------------------------------------------------------------------------------------------------- the calls made
    def _quota_is_kept(self) -> None:
        """Where nothing is late and nobody else calls, HubSpot never has to refuse a call for the rolling window."""
        if self.plan.rush:
            for entry in self.entries.values():
                if entry.status == 429:
                    self._wrong("doubled", "", f"call {entry.sequence} was one more than the quota")

    def _labels_came_between(self, first: Heard, second: Heard, key: Key, number: int) -> bool:
        """Whether an object limit was refused and is sent once more because a label's limit has been set since."""
        if first.status is None or not _refused_by_itself(self.entries[first.sequence], key, number):
            return False
        since = (self.entries[n] for n in range(first.sequence, second.sequence) if n in self.entries)
        changed = [row for entry in since if entry.hub_id == key[0] for row in entry.changed]
        return any(is_label(LimitInput.model_validate(row)) for row in changed)

    def _nothing_is_sent_blindly(self) -> None:
        """After a send that may have been applied, nothing is sent again that reading back has not looked for."""
        sends: dict[Number, list[Heard]] = defaultdict(list)
        reads: dict[tuple[int, str, str], list[Heard]] = defaultdict(list)
        for heard in sorted(self.scenario.wire.heard, key=lambda one: one.sent_at):
            entry = self.entries.get(heard.sequence)
            if entry is None or entry.hub_id is None or not entry.from_object_type or not entry.to_object_type:
                continue
            if heard.operation == "read" and heard.status == 200:
                ids = (object_type_id(entry.from_object_type) or "", object_type_id(entry.to_object_type) or "")
                reads[entry.hub_id, *ids].append(heard)
            if heard.operation == "create":
                for wanted in _asked(entry):
                    sends[wanted].append(heard)
        for (key, number), calls in sends.items():
            if len(self.owners[key, number]) != 1:
                continue
            (owner,) = self.owners[key, number]
            for first, second in pairwise(calls):
                if _certainly_not_applied(first) or self._labels_came_between(first, second, key, number):
                    continue
                between = [r for r in reads[key[:3]] if first.sent_at < r.ended_at and r.ended_at <= second.sent_at]
                if not between:
                    self._wrong("doubled", owner, f"{key} {number} sent blindly after call {first.sequence}")
                elif between[-1].ended_at - between[0].sent_at < PAUSE_AT_LEAST:
                    what = f"{key} {number} sent again by call {second.sequence} after a single look"
                    self._wrong("doubled", owner, what)

    def _nothing_is_undone(self) -> None:
        """A younger request's limit is not overwritten by an older one that was sent long after it was settled."""
        if self.plan.stall:
            return  # a worker that stood still between its claim and its send looks at nothing again
        for key, history in self.truth.items():
            settled = [
                (outcome.requested_at.timestamp(), outcome.finished_at.timestamp(), outcome.id)
                for number in {change.number for change in history}
                for outcome in (self.outcomes[owner] for owner in self.owners[key, number])
                for item in outcome.inputs
                if outcome.finished_at and item.max_to_object_ids == number and _key(outcome, item) == key
                if item.result in (Result.APPLIED, Result.UNCHANGED)
            ]
            last = history[-1]
            owners = self.owners[key, last.number]
            if len(owners) != 1:
                continue
            (owner,) = owners
            age = self.outcomes[owner].requested_at.timestamp()
            sent = self._last_sent(key, last.number)
            for younger, finished, other in settled:
                # One that was claimed for the first time only then had nothing to compare with (see README).
                if younger > age and finished + STALE_AFTER < sent and self.begun.get(owner, 0) < finished:
                    self._wrong("disagreement", owner, f"{key}={last.number} undid {other}, settled before it was sent")

    def _last_sent(self, key: Key, number: int) -> float:
        return max((entry.moment for entry in self.creates[key, number]), default=0.0)

    def _first_claims(self) -> dict[str, float]:
        begun: dict[str, float] = {}
        for moment, key, item in self.scenario.dynamo.writes:
            if item.get("status", {}).get("S") == Status.RUNNING.value:
                begun.setdefault(key, moment)
        return begun


def _key(outcome: Outcome, item: InputOutcome) -> Key:
    pair = (object_type_id(outcome.from_object_type or "") or "", object_type_id(outcome.to_object_type or "") or "")
    return (HUBS[outcome.portal], *pair, item.category.value, item.type_id)


def _asked(entry: Entry) -> list[Number]:
    """The limits and numbers that a journalled create asks for."""
    pair = tuple(object_type_id(name or "") or "" for name in (entry.from_object_type, entry.to_object_type))
    hub_id = entry.hub_id or 0
    return [
        ((hub_id, pair[0], pair[1], item["category"], item["typeId"]), item["maxToObjectIds"])
        for item in json.loads(entry.body)["inputs"]
    ]


def _spans(history: list[Set]) -> Iterator[tuple[Set, float]]:
    """Each number that a limit had, and until when."""
    for index, change in enumerate(history):
        yield change, history[index + 1].moment if index + 1 < len(history) else float("inf")


def _refused_by_itself(entry: Entry, key: Key, number: int) -> bool:
    """Whether HubSpot refused an input, and not only the batch it was in."""
    if entry.status is None or entry.status >= 500:
        return False
    if entry.status < 300:
        changed = [(one["category"], one["typeId"], one["maxToObjectIds"]) for one in entry.changed]
        return (*key[3:], number) not in changed
    return entry.status != 400 or len(_asked(entry)) == 1


def _certainly_not_applied(heard: Heard) -> bool:
    if heard.status is None:
        return heard.refused_to_connect
    # By HubSpot's documentation, and not by the code that is on trial: so a bug there is seen here.
    return 300 <= heard.status < 500 or heard.status in (522, 525, 526)


def story(scenario: Scenario, outcome_id: str) -> str:
    """What happened to one request: its ledger entries, its message and HubSpot's journal about its limits."""
    lines = [f"seed {scenario.plan.seed}, outcome {outcome_id}"]
    outcome = scenario.outcomes.get(outcome_id)
    for moment, key, item in scenario.dynamo.writes:
        if key == outcome_id:
            told = to_outcome(deserialise(item))
            results = " ".join(f"{one.type_id}={one.max_to_object_ids}:{one.result}" for one in told.inputs)
            lines.append(
                f"{_at(moment)} ledger   {told.status} fence {item.get('fence', {}).get('N')} {results}"
                f" {told.reason or ''} {told.doubt or ''}"
            )
    for queue in (scenario.queue, scenario.dead_letters):
        for message in queue.arrived:
            if message.id == outcome_id or message.attributes.get("OutcomeId", {}).get("StringValue") == outcome_id:
                name = f"message  {queue.name} {message.id}"
                lines += [f"{_at(moment)} {name} {what}" for moment, what in message.history]
    if outcome:
        numbers = {(item.type_id, item.max_to_object_ids) for item in outcome.inputs}
        heard = {one.sequence: one for one in scenario.wire.heard}
        for entry in scenario.standin.journal.entries():
            same = (entry.from_object_type, entry.to_object_type) == (outcome.from_object_type, outcome.to_object_type)
            if not same or entry.hub_id != HUBS[outcome.portal]:
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
            if key in {_key(outcome, item) for item in outcome.inputs}
            for change in history
        ]
    return "\n".join([lines[0], *sorted(lines[1:])])


def _at(moment: float) -> str:
    return f"{moment - START:12.3f}"
