"""What the ledger says and what the stand-in HubSpot knows, side by side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from hubspot_api.retry_policy import rule
from local.hubspot.catalogue import object_type_id
from model.errors import Uncertain
from model.outcomes import InputOutcome, Outcome

Key = tuple[str, str, str, int]  # from and to object type as ids, category, type id: one limit
Number = tuple[Key, int]
Asking = list[tuple[Outcome, InputOutcome]]
FOREVER = float("inf")


@dataclass(frozen=True)
class Call:
    """One call of HubSpot's, by the stand-in's journal. `asked` is what a create asks for, `set` what it has set; what
    is carried out late is set at `set_at`, after it came. `struck` is the fault's effect."""

    sequence: int
    moment: float
    operation: str
    pair: tuple[str, str]
    status: int | None
    asked: frozenset[Number]
    set: frozenset[Number]
    set_at: float
    struck: dict[str, Any] | None
    refusal: str | None

    @property
    def certainly_not_applied(self) -> bool:
        """Whether its caller could know from the answer alone that it did nothing."""
        return self.status is not None and self.status >= 300 and rule(self.status).failure is not Uncertain

    @property
    def answered(self) -> bool:
        """Whether it was answered in time, honestly and whole."""
        return self.status is not None and self.status < 300 and self.struck is None

    def refused(self, number: Number) -> bool:
        """Whether it was clearly answered that HubSpot does not take a number, and not only the batch it was in."""
        if number not in self.asked or self.status is None or self.status >= 500:
            return False
        if self.status < 300:
            return self.answered and number not in self.set
        return self.status != 400 or len(self.asked) == 1


@dataclass(frozen=True)
class Spell:
    """A time in which a limit had a number."""

    number: int
    begin: float
    end: float


@dataclass
class Evidence:
    """Both sides. `snapshots` are outcomes as they were seen to be final at some moment before."""

    outcomes: dict[str, Outcome]
    calls: list[Call]
    state: dict[Key, int]
    snapshots: dict[str, Outcome] = field(default_factory=dict)

    @cached_property
    def owners(self) -> dict[Number, set[str]]:
        """Which outcomes ask for each number."""
        owners: dict[Number, set[str]] = defaultdict(set)
        for outcome in self.outcomes.values():
            for item in outcome.inputs:
                owners[key_of(outcome, item), item.max_to_object_ids].add(outcome.id)
        return owners

    @cached_property
    def asking(self) -> dict[Key, Asking]:
        """Which inputs of which outcomes are about each limit."""
        asking: dict[Key, Asking] = defaultdict(list)
        for outcome in self.outcomes.values():
            for item in outcome.inputs:
                asking[key_of(outcome, item)].append((outcome, item))
        return asking

    @cached_property
    def creates(self) -> list[Call]:
        return [call for call in self.calls if call.operation == "create"]

    @cached_property
    def sent(self) -> dict[Number, list[Call]]:
        """Every create that asked for each number, in order."""
        sent: dict[Number, list[Call]] = defaultdict(list)
        for call in self.creates:
            for number in call.asked:
                sent[number].append(call)
        return sent

    @cached_property
    def reads(self) -> dict[tuple[str, str], list[Call]]:
        """Every read of each pair that was answered with its limits, in order."""
        reads: dict[tuple[str, str], list[Call]] = defaultdict(list)
        for call in self.calls:
            if call.operation == "read" and call.status == 200:
                reads[call.pair].append(call)
        return reads

    @cached_property
    def spells(self) -> dict[Key, list[Spell]]:
        """What each limit was, and when."""
        changes: dict[Key, list[tuple[float, int]]] = defaultdict(list)
        for call in self.creates:
            for key, number in call.set:
                changes[key].append((call.set_at, number))
        spells = {}
        for key, history in changes.items():
            history.sort()
            ends = [moment for moment, _ in history[1:]] + [FOREVER]
            spells[key] = [Spell(number, begin, end) for (begin, number), end in zip(history, ends, strict=True)]
        return spells

    def was_set(self, key: Key, number: int) -> bool:
        """Whether a limit ever had a number."""
        return any(spell.number == number for spell in self.spells.get(key, []))

    def is_of_one(self, key: Key, number: int) -> bool:
        """Whether only one request asks for a number."""
        return len(self.owners.get((key, number), ())) == 1


def key_of(outcome: Outcome, item: InputOutcome) -> Key:
    """The limit that an input is about."""
    pair = (object_type_id(outcome.from_object_type or "") or "", object_type_id(outcome.to_object_type or "") or "")
    return (*pair, item.category.value, item.type_id)


def calls_of(entries: Iterable[dict[str, Any]]) -> list[Call]:
    """The journal's entries of creates and reads, in the order in which they came."""
    return [_call(entry) for entry in entries if entry["operation"] in ("create", "read") and entry["toObjectType"]]


def _call(entry: dict[str, Any]) -> Call:
    moment = datetime.fromisoformat(entry["time"]).timestamp()
    pair = (object_type_id(entry["fromObjectType"]) or "", object_type_id(entry["toObjectType"]) or "")
    effect: dict[str, Any] | None = entry["fault"] and entry["fault"]["effect"]
    body = entry["body"] if isinstance(entry["body"], dict) else {}
    late = (effect["delayMs"] / 1000) if effect and effect.get("late") else 0
    return Call(
        sequence=entry["sequence"],
        moment=moment,
        operation=entry["operation"],
        pair=pair,
        status=entry["status"],
        asked=frozenset(_number(pair, item) for item in body.get("inputs", [])),
        set=frozenset(_number(pair, item) for item in entry["changed"]),
        set_at=moment + late,
        struck=effect,
        refusal=entry["refusal"],
    )


def _number(pair: tuple[str, str], item: dict[str, Any]) -> Number:
    return (*pair, item["category"], item["typeId"]), item["maxToObjectIds"]


def state_of(answer: dict[str, Any]) -> dict[Key, int]:
    """The limits of account 1 by the stand-in's GET /_standin/state."""
    limits: list[dict[str, Any]] = next((portal["limits"] for portal in answer["portals"] if portal["hubId"] == 1), [])
    return {
        (limit["fromObjectType"], limit["toObjectType"], limit["category"], limit["typeId"]): limit["maxToObjectIds"]
        for limit in limits
    }
