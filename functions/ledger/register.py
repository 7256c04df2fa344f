"""A pair's register: of each limit the number last applied, and every send that can still take effect. Pure.

It decides only what is not sent. What HubSpot holds it does not know: others may have changed that.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from model.contract import LimitKey
from model.outcomes import Age, Outcome, Result
from model.records import milliseconds

# HubSpot may carry out a call this long after it was sent, though it was cut off or answered by a gateway. It names no
# time. Ours: two minutes, four times what AWS's own gateway waits for an answer (29 s), and ten seconds for clocks.
LANDING = timedelta(seconds=130)
PLAIN = 500  # characters that are kept as text: with all else in the item they fit one write unit
SETTERS = (Result.APPLIED, Result.UNCHANGED, Result.UNCONFIRMED)


@dataclass(frozen=True, slots=True)
class Applied:
    """The number of the youngest request that HubSpot accepted for a limit: not before `sent_at`, and by `at` (epoch
    milliseconds). `unconfirmed` where it was sent and nobody can say whether it was accepted: older requests leave it
    alone, too; `before` is then the last one that was certain."""

    age: Age
    outcome_id: str
    number: int
    sent_at: int
    at: int
    unconfirmed: bool = False
    before: Applied | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """A number that was sent, at `at` at the latest (epoch milliseconds), and may still be or become what HubSpot
    holds."""

    key: LimitKey
    age: Age
    outcome_id: str
    number: int
    at: int


@dataclass(init=False)
class Register:
    """What is known of the limits of one pair. `lag` is how long HubSpot's reads may lag behind its writes."""

    lag: timedelta
    last: dict[LimitKey, Applied]
    # By limit, as every demand asks for the sends of its own: there can be thousands of each.
    _sends: dict[LimitKey, dict[tuple[str, int], Sent]]

    def __init__(
        self, lag: timedelta, last: Mapping[LimitKey, Applied] | None = None, sends: Iterable[Sent] = ()
    ) -> None:
        self.lag = lag
        self.last = dict(last or {})
        self._sends = {}
        for sent in sends:
            self.send(sent)

    @property
    def sends(self) -> list[Sent]:
        """Every send that can still take effect, those of one limit as they were made."""
        return [sent for of_one in self._sends.values() for sent in of_one.values()]

    @property
    def window(self) -> int:
        """Milliseconds after a send, from when on a reading tells what became of it."""
        return _ms(LANDING + self.lag)

    # ------------------------------------------------------------------------------------------------ what is known
    def in_doubt(self, key: LimitKey, age: Age) -> Sent | None:
        """The youngest send of a younger request that may have been applied."""
        younger = (sent for sent in self._sends.get(key, {}).values() if sent.age > age)
        return max(younger, key=lambda sent: sent.age, default=None)

    def may_land(self, key: LimitKey, age: Age, number: int, now: int) -> int | None:
        """Until when (epoch milliseconds) an older request's send of another number may still take effect."""
        sends = self._sends.get(key, {}).values()
        older = (sent.at + _ms(LANDING) for sent in sends if sent.age < age and sent.number != number)
        return max((until for until in older if until > now), default=None)

    def explains(self, key: LimitKey, number: int, now: int) -> bool:
        """Whether a reading that shows a number may be older than another number that was applied since: then it does
        not prove that the number is there."""
        return self.is_recent(key, now) and self.last[key].number != number

    def is_recent(self, key: LimitKey, now: int) -> bool:
        """Whether a limit was set so lately that a reading may show what was there before."""
        return key in self.last and now - self.last[key].at < _ms(self.lag)

    # ------------------------------------------------------------------------------------------------ what happens
    def apply(self, key: LimitKey, applied: Applied) -> None:
        """Enter a number that was applied. The youngest request's stands."""
        last = self.last.get(key)
        if last is None or applied.age >= last.age:
            before = last.before if last and last.unconfirmed else last
            self.last[key] = replace(applied, before=before) if applied.unconfirmed else applied
        elif last.unconfirmed and not applied.unconfirmed and (not last.before or applied.age >= last.before.age):
            self.last[key] = replace(last, before=applied)

    def refuse(self, key: LimitKey, age: Age, number: int) -> None:
        """Enter that HubSpot refuses a number. Where nobody knew whether it was ever set, the one before it stands."""
        last = self.last.get(key)
        if last and last.unconfirmed and last.before and (last.age, last.number) == (age, number):
            self.last[key] = last.before

    def send(self, sent: Sent) -> None:
        """Enter a send that came to no clear answer. A later send of the same number stands for the earlier one."""
        self.withdraw(sent.key, sent.outcome_id, sent.number)  # so that it becomes the last one
        self._sends.setdefault(sent.key, {})[sent.outcome_id, sent.number] = sent

    def withdraw(self, key: LimitKey, outcome_id: str, number: int) -> None:
        """Forget the sends of a request, as they have no effect any more."""
        self._sends.get(key, {}).pop((outcome_id, number), None)

    def enter(self, outcome: Outcome, at: int) -> None:
        """Enter what a settled outcome says of its limits, as of a time at the latest."""
        sent_at = milliseconds(min([attempt.at for attempt in outcome.attempts], default=outcome.requested_at))
        for item in outcome.inputs:
            if item.result in SETTERS:
                unconfirmed = item.result is Result.UNCONFIRMED
                number = item.max_to_object_ids
                self.apply(item.key, Applied(outcome.age, outcome.id, number, sent_at, at, unconfirmed))

    def forget(self, keys: Iterable[LimitKey], due_by: int) -> None:
        """Forget the sends of these limits whose window was over by then: a reading has told what became of them."""
        for key in keys:
            self._keep(key, lambda sent: not self._is_over(sent, due_by))

    def prune(self, now: int) -> None:
        """Forget sends that can do no harm: they have landed or never will, and a younger number was set since."""
        for key in list(self._sends):
            self._keep(key, lambda sent: not self._is_harmless(sent, now))

    def _keep(self, key: LimitKey, wanted: Callable[[Sent], bool]) -> None:
        kept = {name: sent for name, sent in self._sends.get(key, {}).items() if wanted(sent)}
        self._sends.pop(key, None)
        if kept:
            self._sends[key] = kept

    # ------------------------------------------------------------------------------------------------ what is to do
    def due(self, now: int) -> list[Sent]:
        """The sends of which a reading can tell now what became of them."""
        return [sent for sent in self.sends if self._is_over(sent, now)]

    @property
    def verify_at(self) -> int | None:
        """When the pair must be read: a send of an older request may land, or have landed, over a younger number."""
        return max((sent.at + self.window for sent in self.undoing()), default=None)

    def undoing(self) -> list[Sent]:
        """The sends that may have landed over the last number or over a younger send in doubt, or still may."""
        found: list[Sent] = []
        for key, of_one in self._sends.items():
            last = self.last.get(key)
            in_doubt = [sent for sent in of_one.values() if last is None or sent.age > last.age]
            youngest = max(in_doubt, key=_age, default=None)
            second = max(
                (sent for sent in in_doubt if youngest and sent.number != youngest.number), key=_age, default=None
            )
            for sent in of_one.values():
                rival = second if youngest and sent.number == youngest.number else youngest
                # What had landed before the last number was set had landed before a younger one was sent, too.
                landed = last is not None and last.age >= sent.age and self._is_after(last, sent)
                if self.can_undo_last(sent) or (rival and rival.age > sent.age and not landed):
                    found.append(sent)
        return found

    def _is_over(self, sent: Sent, now: int) -> bool:
        return sent.at + self.window <= now

    def can_undo_last(self, sent: Sent) -> bool:
        """Whether a send of an older request may have landed over the last number, or still may."""
        last = self.last.get(sent.key)
        return (
            last is not None and last.age > sent.age and last.number != sent.number and not self._is_after(last, sent)
        )

    def _is_harmless(self, sent: Sent, now: int) -> bool:
        last = self.last.get(sent.key)
        if last is None or last.age < sent.age or sent.at + _ms(LANDING) > now:
            return False
        # A younger send in doubt is judged by what is there: the last number may be there because it landed later.
        same = last.number == sent.number and not self.in_doubt(sent.key, last.age)
        return same or self._is_after(last, sent)

    @staticmethod
    def _is_after(last: Applied, sent: Sent) -> bool:
        """Whether a number was certainly applied after a send had landed."""
        return not last.unconfirmed and last.sent_at >= sent.at + _ms(LANDING)

    # ------------------------------------------------------------------------------------------------ as text
    def as_text(self, most: int | None = None) -> str:
        """As the pair's item keeps it: packed, as each claim and each settlement writes it anew. In at most so many
        characters, if it must be: then the limits of the oldest requests are left out, and the sends made first."""
        last = sorted(self.last.items(), key=lambda entry: entry[1].age, reverse=True)
        sends = sorted(self.sends, key=lambda sent: sent.at, reverse=True) if most else self.sends
        rows: Iterable[tuple[str, Any]] = [
            *((_name(key), _packed_applied(applied)) for key, applied in last),
            *(("", [_name(sent.key), *_packed(sent.age, sent.outcome_id, sent.number, sent.at)]) for sent in sends),
        ]
        if most:
            rows = _within(rows, most)
        kept = list(rows)
        return _json([{name: row for name, row in kept if name}, [row for name, row in kept if not name]])


def stored(text: str) -> str | bytes:
    """A register's text as its item keeps it: with many limits compressed, as each request pays for the item's size."""
    return text if len(text) < PLAIN else zlib.compress(text.encode())


def register(kept: str | bytes, lag: timedelta) -> Register:
    """The inverse of `as_text` and of `stored`; empty text is an empty register."""
    text = zlib.decompress(kept) if isinstance(kept, bytes) else kept
    last, sends = json.loads(text) if text else ({}, [])
    return Register(
        lag,
        {_key(name): _applied(fields) for name, fields in last.items()},
        [Sent(_key(name), *_unpacked(fields)) for name, *fields in sends],
    )


def possible_sends(outcome: Outcome, at: int) -> Iterator[Sent]:
    """What a worker that died may have sent for an outcome, until then at the latest."""
    for item in outcome.inputs:
        yield Sent(item.key, outcome.age, outcome.id, item.max_to_object_ids, at)


def _within(rows: Iterable[tuple[str, Any]], most: int) -> Iterator[tuple[str, Any]]:
    room = most - len("[{},[]]")
    for name, row in rows:
        room -= len(_json({name: row}))  # a little more than it takes
        if room >= 0:
            yield name, row


def _age(sent: Sent) -> Age:
    return sent.age


def _applied(fields: Sequence[Any]) -> Applied:
    age, outcome_id, number, at = _unpacked(fields)
    before = _applied(fields[7]) if len(fields) > 7 else None
    return Applied(age, outcome_id, number, at - int(fields[5]), at, len(fields) > 6, before)


def _packed_applied(applied: Applied) -> list[Any]:
    packed = _packed(applied.age, applied.outcome_id, applied.number, applied.at)
    before = [_packed_applied(applied.before)] if applied.before else []
    return [*packed, applied.at - applied.sent_at, *([1, *before] if applied.unconfirmed else [])]


def _packed(age: Age, outcome_id: str, number: int, at: int) -> list[str | int]:
    return [age[0], age[1], "" if age[1] == outcome_id else outcome_id, number, at]


def _unpacked(fields: Collection[str | int]) -> tuple[Age, str, int, int]:
    moment, age_id, outcome_id, number, at, *_ = fields
    return (int(moment), str(age_id)), str(outcome_id or age_id), int(number), int(at)


def _name(key: LimitKey) -> str:
    return f"{key[0]}:{key[1]}"


def _key(name: str) -> LimitKey:
    category, _, type_id = name.rpartition(":")
    return category, int(type_id)


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _ms(time: timedelta) -> int:
    return time // timedelta(milliseconds=1)
