"""What a seed decides before a campaign begins: who asks for what on which way in, and HubSpot's weather meanwhile."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from local.hubspot.catalogue import SEEDED_TYPES, Pair
from model.object_types import object_type_id, spellings
from tests.faults.weather import DAILY, Deck, Order, switches

PAIRS = sorted(SEEDED_TYPES)
WAYS = {"queue": 78, "webhook": 8, "async": 7, "schedule": 4, "rule": 3}
KEYED = {"queue": 0.05, "webhook": 0.6, "async": 0.5, "schedule": 1, "rule": 0.5}
CLIENT = "local"  # as whom the stack knows its one caller over HTTP
REQUESTS_IN_A_WAVE = 250
FEWEST_WAVES = 5
FULL = 1_000  # requests from which a campaign takes the time to let a daily quota run out

Input = tuple[str, int, int]  # category, type id, number


@dataclass(frozen=True)
class Ask:
    """One request; `body` is the whole of a message that is no request. `again` is set where a key is used again,
    for the same (`True`) or for something else (`False`)."""

    number: int
    way: str
    pair: tuple[str, str]
    inputs: tuple[Input, ...]
    key: str | None = None
    again: bool | None = None
    body: str | None = None

    @property
    def envelope(self) -> dict[str, Any]:
        return {
            "fromObjectType": self.pair[0],
            "toObjectType": self.pair[1],
            "inputs": [{"category": c, "typeId": t, "maxToObjectIds": n} for c, t, n in self.inputs],
        }

    def of(self, run: str) -> Ask:
        """The same request with a key that no other campaign against the same ledger has."""
        return replace(self, key=f"{self.key} of {run}") if self.key else self

    @property
    def keyed_id(self) -> str | None:
        """The outcome's id where the request has a key: as the README has it, a hash of portal, client and key."""
        if self.key is None:
            return None
        client = CLIENT if self.way in ("webhook", "async") else None
        return hashlib.sha256(json.dumps(["default", client, self.key]).encode()).hexdigest()[:32]


@dataclass
class Wave:
    """A part of the campaign: HubSpot's switches and faults, and the requests sent meanwhile."""

    switches: Order
    faults: list[Order]
    asks: list[Ask] = field(default_factory=list)


@dataclass(frozen=True)
class Plan:
    """Everything that a seed has decided. `unreadable` is the pair that HubSpot never lets anybody read."""

    seed: int
    unreadable: Pair
    waves: list[Wave]

    @property
    def asks(self) -> list[Ask]:
        return [ask for wave in self.waves for ask in wave.asks]

    @property
    def barrier(self) -> Order:
        """The fault that keeps the unreadable pair unreadable."""
        pair = {"fromObjectType": self.unreadable.from_type, "toObjectType": self.unreadable.to_type}
        return {"operation": "read", **pair, "share": 1, "effect": {"kind": "status", "status": 404}}

    def digest(self) -> str:
        """What shows that two plans are the same."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:12]


def make(seed: int, requests: int) -> Plan:
    """The plan of a seed, with so many requests."""
    dice = Random(seed)
    waves = max(FEWEST_WAVES, round(requests / REQUESTS_IN_A_WAVE))
    deck = Deck(dice)
    plan = Plan(seed, dice.choice(PAIRS), [])
    for number in range(waves):
        faults = deck.draw(requests // waves)
        # Last, as what waits for a new day is run together, and most of it superseded: few calls are left for faults.
        if requests >= FULL and number == waves - 1:
            faults.append(DAILY)
        plan.waves.append(Wave(switches(dice), faults))
    asks = Asking(dice).ask(requests)
    for number, wave in enumerate(plan.waves):
        wave.asks += asks[number * requests // waves : (number + 1) * requests // waves]
    return plan


class Asking:
    """Makes up requests whose numbers nearly always belong to one of them alone."""

    def __init__(self, dice: Random) -> None:
        self._dice = dice
        self._pools: dict[tuple[Pair, str, int], list[int]] = {}

    def ask(self, requests: int) -> list[Ask]:
        """So many requests, some of which use the key of an earlier one again."""
        dice = self._dice
        asks: list[Ask] = []
        keyed: list[Ask] = []
        for number in range(requests):
            if keyed and dice.random() < 0.05:
                asks.append(self._again(number, dice.choice(keyed)))
                continue
            way = dice.choices(list(WAYS), list(WAYS.values()))[0]
            if way == "queue" and dice.random() < 0.01:
                asks.append(Ask(number, way, ("", ""), (), body=dice.choice(['{"inputs": 1}', "not json", "[]"])))
                continue
            pair = dice.choice(PAIRS)
            key = f"key-{number}" if dice.random() < KEYED[way] else None
            ask = Ask(number, way, self._spelt(*pair), self._inputs(pair), key)
            asks.append(ask)
            if key:
                keyed.append(ask)
        return asks

    def _again(self, number: int, first: Ask) -> Ask:
        pair = self._spelt(*(object_type_id(name) or "" for name in first.pair))
        if self._dice.random() < 0.8:
            return Ask(number, first.way, pair, first.inputs, first.key, again=True)
        category, type_id, asked = first.inputs[-1]
        other = (*first.inputs[:-1], (category, type_id, asked + 1))
        return Ask(number, first.way, pair, other, first.key, again=False)

    def _spelt(self, from_type: str, to_type: str) -> tuple[str, str]:
        """A pair in one of the many ways to write it, all of which mean the same limits."""
        return self._dice.choice(spellings(from_type)), self._dice.choice(spellings(to_type))

    def _inputs(self, pair: Pair) -> tuple[Input, ...]:
        dice = self._dice
        types = list(SEEDED_TYPES[pair].items())
        inputs: list[Input] = []
        for key, label in dice.sample(types, dice.randint(1, len(types))):
            inputs.append((key.category, key.type_id, self._number(pair, key.category, key.type_id, label is None)))
        if dice.random() < 0.03:
            inputs.append(("HUBSPOT_DEFINED", 999, self._number(pair, "HUBSPOT_DEFINED", 999, False)))
        if dice.random() < 0.03:
            inputs[0] = (*inputs[0][:2], dice.randint(20_000, 2_000_000_000))  # over the account's ceiling
        if dice.random() < 0.03:
            label_inputs = [i for i, item in enumerate(inputs) if item[2] < 5_000]
            if label_inputs:  # above any object limit there may be
                inputs[label_inputs[0]] = (*inputs[label_inputs[0]][:2], 9_999)
        return tuple(inputs)

    def _number(self, pair: Pair, category: str, type_id: int, of_object: bool) -> int:
        """A number not used before for this limit; an object limit above all labels' of its pair."""
        low, high = (5_000, 9_998) if of_object else (1, 4_998)
        pool = self._pools.setdefault((pair, category, type_id), [])
        if not pool:
            pool += self._dice.sample(range(low, high, 2), (high - low) // 2)  # those between: a key used again
        if self._dice.random() < 0.03:
            return pool[-1]  # which the next one will ask for as well
        return pool.pop()
