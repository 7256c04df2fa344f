"""What was sent to HubSpot must be right: nothing blindly, and no call too many."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from batch_create.plan import is_label
from model.contract import Category, LimitInput
from model.outcomes import Result
from tests.simulation.evidence import Evidence, Number, asked, canonical, key_of, refused_by_itself
from tests.simulation.transport import LONGEST_LANDING, Heard, Key

PAUSE_AT_LEAST = 2.0  # seconds from a first reading that does not show a limit to the one that is believed


class CallChecks:
    """What is checked of the calls that HubSpot heard."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence

    def check(self) -> None:
        """Note whatever is wrong."""
        self._tokens_are_refreshed_by_one()
        self._nothing_is_sent_blindly()
        self._quota_is_kept()

    def _tokens_are_refreshed_by_one(self) -> None:
        """No two workers refresh a token at the same time, and the new refresh token is never lost."""
        plan, heard = self.evidence.plan, [one for one in self.evidence.scenario.wire.heard if one.operation == "token"]
        if plan.stall:
            return  # a worker that stood still outlives its lock
        for first, second in pairwise(sorted(heard, key=lambda one: one.sent_at)):
            if second.sent_at < first.ended_at:
                self.evidence.wrong("doubled", str(second.sequence), "two workers refreshed a token at once")
        faulty = any(order["operation"] == "token" for order in plan.faults)
        if plan.broken_oauth or plan.crash or plan.aws_fails or plan.refused_connections or faulty:
            return
        for one in heard:
            if refusal := self.evidence.entries[one.sequence].refusal:
                self.evidence.wrong("disagreement", str(one.sequence), f"a refresh was refused: {refusal}")

    def _nothing_is_sent_blindly(self) -> None:
        """After a send that may have been applied, nothing is sent again that reading back has not looked for.

        To believe that a number is absent takes two looks with a pause between them, or one so late that nothing which
        was sent is still under way. One is enough as well where another number of the limit was sent meanwhile, or
        where HubSpot had confirmed this one, and the look showed that it has gone: then it is set once more.
        """
        sends: dict[Number, list[Heard]] = defaultdict(list)
        reads: dict[tuple[int, str, str], list[Heard]] = defaultdict(list)
        for heard in sorted(self.evidence.scenario.wire.heard, key=lambda one: one.sent_at):
            entry = self.evidence.entries.get(heard.sequence)
            if entry is None or entry.hub_id is None or not entry.from_object_type or not entry.to_object_type:
                continue
            if heard.operation == "read" and heard.status == 200:
                reads[entry.hub_id, *canonical(entry)].append(heard)
            if heard.operation == "create":
                for wanted in asked(entry):
                    sends[wanted].append(heard)
        for (key, number), calls in sends.items():
            if self.evidence.owner(key, number) is None:
                continue
            owner = min(self.evidence.owners[key, number])
            for first, second in pairwise(calls):
                if _certainly_not_applied(first) or self._labels_came_between(first, second, key, number):
                    continue
                if self._a_refusal_is_replayed(first, second, key, number):
                    continue
                between = [r for r in reads[key[:3]] if first.sent_at < r.ended_at and r.ended_at <= second.sent_at]
                if not between:
                    what = f"{key} {number} sent blindly by call {second.sequence} after call {first.sequence}"
                    self.evidence.wrong("doubled", owner, what)
                elif not (
                    between[-1].ended_at - between[0].sent_at >= PAUSE_AT_LEAST
                    or between[-1].sent_at - first.sent_at >= LONGEST_LANDING
                    or (
                        (_is_confirmed(first) or self._another_came_between(first, second, key, number))
                        and self._shows_another(between, key, number)
                    )
                ):
                    what = f"{key} {number} sent again by call {second.sequence} after a single look"
                    self.evidence.wrong("doubled", owner, what)

    def _labels_came_between(self, first: Heard, second: Heard, key: Key, number: int) -> bool:
        """Whether an object limit was refused and is sent once more because a label's limit has been set since."""
        if first.status is None or not refused_by_itself(self.evidence.entries[first.sequence], key, number):
            return False
        since = (self.evidence.entries[n] for n in range(first.sequence, second.sequence) if n in self.evidence.entries)
        changed = [row for entry in since if entry.hub_id == key[0] for row in entry.changed]
        return any(is_label(_limit(row)) for row in changed)

    def _a_refusal_is_replayed(self, first: Heard, second: Heard, key: Key, number: int) -> bool:
        """Whether an operator has replayed between two sends what had ended as refused: that was in no doubt."""
        evidence = self.evidence
        replays = (evidence.outcomes[owner] for owner in evidence.owners[key, number])
        return any(
            key_of(replayed, item) == key and item.result is Result.REJECTED
            for replay in replays
            if first.sent_at < evidence.born[replay.id] <= second.sent_at
            if (replayed := evidence.outcomes.get(replay.replay_of or ""))
            for item in replayed.inputs
        )

    def _another_came_between(self, first: Heard, second: Heard, key: Key, number: int) -> bool:
        """Whether another number for the same limit was sent between two sends, or was under way."""
        between = (
            self.evidence.entries[n] for n in range(first.sequence, second.sequence) if n in self.evidence.entries
        )
        return any(
            limit == key and other != number
            for entry in between
            if entry.operation == "create" and entry.hub_id == key[0]
            for limit, other in asked(entry)
        )

    def _shows_another(self, reads: Sequence[Heard], key: Key, number: int) -> bool:
        """Whether one of these reads does not show a limit's number."""
        return any(number not in self._shown(read, key) for read in reads)

    def _shown(self, read: Heard, key: Key) -> list[int | None]:
        try:
            rows = json.loads(self.evidence.scenario.wire.shown[read.sequence])["results"]
        except (ValueError, KeyError):
            return []  # not a body that can be read
        return [row["userEnforcedMaxToObjectIds"] for row in rows if (row["category"], row["typeId"]) == key[3:]]

    def _quota_is_kept(self) -> None:
        """Where nothing is late and nobody else calls, HubSpot never has to refuse a call for the rolling window."""
        if self.evidence.plan.rush:
            for entry in self.evidence.entries.values():
                if entry.status == 429:
                    self.evidence.wrong("doubled", "", f"call {entry.sequence} was one more than the quota")


def _certainly_not_applied(heard: Heard) -> bool:
    if heard.status is None:
        return heard.refused_to_connect
    # By HubSpot's documentation, and not by the code that is on trial: so a bug there is seen here.
    return 300 <= heard.status < 500 or heard.status in (522, 525, 526)


def _is_confirmed(heard: Heard) -> bool:
    return heard.status is not None and heard.status < 300


def _limit(row: dict[str, Any]) -> LimitInput:
    """A limit of the stand-in's journal."""
    return LimitInput(Category(row["category"]), row["typeId"], row["maxToObjectIds"])
