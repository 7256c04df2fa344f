"""What the stand-in HubSpot is told to do wrong in one wave of a campaign, drawn from a seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

Order = dict[str, Any]  # a fault, as POST /_standin/faults takes it

UNCERTAIN = (500, 502, 503, 504, 520, 521, 523, 524)
NEVER_ARRIVED = (522, 525, 526)
KINDS_IN_A_WAVE = 6
LAG = 40.0  # seconds; the longest that reads may lag
SHARE = 0.4  # of the calls that match, until a fault has struck as often as it is ordered: so they mix


def _uncertain(dice: Random) -> Order:
    operation = dice.choice(["create", "create", "any"])
    return _order(operation, {"kind": "status", "status": dice.choice(UNCERTAIN), "applied": dice.random() < 0.5})


def _applied_and_not_answered(dice: Random) -> Order:
    return _order("create", {"kind": "status", "status": dice.choice(UNCERTAIN), "applied": True})


def _unreadable_for_a_while(dice: Random) -> Order:
    return _order("read", {"kind": "status", "status": dice.choice(UNCERTAIN)})


def _never_arrived(dice: Random) -> Order:
    return _order("any", {"kind": "status", "status": dice.choice(NEVER_ARRIVED)})


def _refusal(dice: Random) -> Order:
    # Not of reads: such a refusal would count as one for good, which is what the unreadable pair is for.
    return _order("create", {"kind": "status", "status": dice.choice([400, 404, 422])})


def _token(dice: Random) -> Order:
    return _order("any", {"kind": "status", "status": dice.choice([401, 403])})


def _limited(dice: Random) -> Order:
    return _order("any", {"kind": "status", "status": 429, "policy": "TEN_SECONDLY_ROLLING"}, most=2)


def _locked(dice: Random) -> Order:
    return _order("any", {"kind": "status", "status": 423})


def _moving(dice: Random) -> Order:
    return _order("any", {"kind": "status", "status": 477, "retryAfterSeconds": dice.randint(3, 12)}, most=2)


def _drop(dice: Random) -> Order:
    operation = dice.choice(["create", "create", "any"])
    return _order(operation, {"kind": "drop", "applied": dice.random() < 0.5, "reset": dice.random() < 0.5})


def _slow(dice: Random) -> Order:
    return _order("any", {"kind": "delay", "delayMs": dice.randint(500, 3_000), "late": dice.random() < 0.5})


def _past_the_timeout(dice: Random) -> Order:
    # The consumer of a campaign waits 12 seconds for an answer, and the webhook 19.
    delay = dice.choice([13_000, 16_000, 24_000])
    return _order("create", {"kind": "delay", "delayMs": delay, "late": dice.random() < 0.5}, most=3)


def _incomplete(dice: Random) -> Order:
    status = dice.choice(["PENDING", "PROCESSING", "CANCELED"])
    return _order("create", {"kind": "incomplete", "bodyStatus": status, "applied": dice.random() < 0.5})


def _broken(dice: Random) -> Order:
    return _order("any", {"kind": "broken", "body": dice.choice(["truncated", "html", "empty"])})


def _silent(dice: Random) -> Order:
    # A read without its rows is a lie that nothing can see through: no client would be right.
    return _order("create", {"kind": "noResults", "applied": dice.random() < 0.7})


def _echo(dice: Random) -> Order:
    return _order("create", {"kind": "echo", "by": dice.choice([1, -1, 1000])})


KINDS: tuple[Callable[[Random], Order], ...] = (
    _uncertain,
    _applied_and_not_answered,
    _unreadable_for_a_while,
    _never_arrived,
    _refusal,
    _token,
    _limited,
    _locked,
    _moving,
    _drop,
    _drop,
    _slow,
    _past_the_timeout,
    _incomplete,
    _broken,
    _silent,
    _echo,
)
# Until midnight where the account is; see `rehearsal.zone_near_midnight`.
DAILY: Order = {"operation": "any", "times": 2, "effect": {"kind": "status", "status": 429, "policy": "DAILY"}}


@dataclass
class Deck:
    """The kinds of faults in an order of the dice, each drawn once before any comes again."""

    dice: Random

    def __post_init__(self) -> None:
        self._left: list[Callable[[Random], Order]] = []

    def draw(self, requests: int) -> list[Order]:
        """The faults of one wave of so many requests."""
        orders = []
        for _ in range(KINDS_IN_A_WAVE):
            if not self._left:
                self._left = self.dice.sample(KINDS, len(KINDS))
            order = self._left.pop()(self.dice)
            most = order.pop("most") or max(2, requests // 25)
            share = SHARE if requests > 100 else 1
            orders.append({**order, "times": self.dice.randint(1, most), "share": share, "seed": self._seed()})
        return orders

    def _seed(self) -> int:
        return self.dice.getrandbits(31)


def switches(dice: Random) -> Order:
    """HubSpot's undocumented side during one wave, as PUT /_standin/settings takes it."""
    return {
        "existingLimit": dice.choice(["overwrite"] * 5 + ["refuse"]),
        "badInput": dice.choice(["alone", "batch"]),
        "errorContext": dice.choice(["type", "type", "none"]),
        "labelEqualsObject": dice.choice(["allow", "refuse"]),
        "unsetLimit": dice.choice(["absent", "null", "unlimited"]),
        "successStatus": dice.choice([200, 201]),
        "scopeContext": dice.choice(["map", "string"]),
        "readLagSeconds": dice.choice([0, 0, 0, 1, 5, int(LAG)]),
        "tenSecondlyLimit": dice.choice([None, 190, 190, 100]),
    }


def _order(operation: str, effect: dict[str, Any], most: int | None = None) -> Order:
    return {"operation": operation, "effect": effect, "most": most}
