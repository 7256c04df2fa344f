"""What a seed decides beforehand: HubSpot's undocumented side, its weather, AWS's, and who asks for what."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from local.hubspot.catalogue import SEEDED_TYPES, Pair, TypeKey

# Every object type under all its names, the plural first, which is the usual one.
NAMES = {
    "0-1": ("contacts", "contact", "CONTACTS", "Contacts", "0-1"),
    "0-2": ("companies", "company", "COMPANIES", "Companies", "0-2"),
    "0-3": ("deals", "deal", "DEALS", "Deals", "0-3"),
    "0-5": ("tickets", "ticket", "TICKETS", "Tickets", "0-5"),
}
VERSIONS = ("2026-03", "2026-09")
UNCERTAIN = (500, 502, 503, 504, 520, 521, 523, 524)
NEVER_ARRIVED = (522, 525, 526)
HOUR = 3600.0
LONGEST_OUTAGE = 30 * HOUR
RUSH_EVERY = 7  # seeds, of which one is a rush: nothing fails, and HubSpot takes few calls
RUSH_CALLS = 8  # in ten seconds
CALM_EVERY = 4  # seeds, of which one, the first, is calm on our side; others are by chance
BUSY_EVERY, FIRST_BUSY = 50, 23  # seeds, of which one has a pair with more requests than any search goes through
BUSY_REQUESTS = 540
BURSTS = 12  # in which they come, a few seconds apart
SHAKY_EVERY, FIRST_SHAKY = 11, 8  # seeds, of which one has a pair whose calls are often in doubt, and rarely read back
SHARE_OF_LONGEST = 5  # its requests are tried again so often that each costs as much as five others
MOST_RECEIVES = 50  # as the service is deployed
FEW_RECEIVES = 6
VERY_FEW_RECEIVES = 2  # so that many become dead letters


@dataclass(frozen=True)
class Ask:
    """One request: when, by which way in, with which envelope; `key` where it has an idempotency key. `pair` is as its
    sender spells it, `version` in the path where it comes by HTTP."""

    after: float
    way: str  # queue, webhook, async, schedule
    portal: str
    pair: tuple[str, str]
    inputs: tuple[tuple[str, int, int], ...]
    key: str | None = None
    version: str = VERSIONS[0]


@dataclass(frozen=True)
class Replay:
    """An operator who replays some outcome that is final by then: all of it, or what was not applied."""

    after: float
    everything: bool


@dataclass
class Plan:
    """Everything that a seed has decided. What has a default is calm without it."""

    seed: int
    requests: int  # without those that are asked again
    switches: dict[str, Any]
    faults: list[dict[str, Any]]
    asks: list[Ask]
    zones: dict[str, str]
    heal_after: float
    crash: float
    stall: float  # how often a worker stands still, for as long as its invocation lasts at most
    aws_fails: float
    refused_connections: float
    index_lag: float
    duplicates: float
    max_receives: int
    batch_size: int
    token_change: tuple[float, float] | None  # when HubSpot forgets the static token, and when its owner mends it
    oauth: bool
    rotates: bool
    broken_oauth: tuple[float, float] | None
    unreadable: Pair | None
    rush: bool = False
    shaky: Pair | None = None
    messages_at_once: int = 10  # that a function is invoked with at most
    retried_writes: float = 0  # share of writes to AWS that the client makes twice, as the first answer was lost
    skew: float = 0  # seconds by which a clock is wrong at most
    moved_letters: float = 0  # share of dead letters that an operator moves back to the main queue
    lands_late: float = 0  # share of creates that HubSpot carries out up to two minutes after an error
    give_up_after: int = 240  # hours, as the service is deployed
    flaps: float = 0  # share of lagging reads that show the present all the same
    replays: list[Replay] = field(default_factory=list)

    @property
    def quota(self) -> int:
        """How many calls in ten seconds the deployer has set: what HubSpot allows, or its smallest."""
        return self.switches.get("tenSecondlyLimit") or 100


def size(seed: int, requests: int) -> int:
    """How many requests a seed has where others have so many."""
    return BUSY_REQUESTS if _is_busy(seed) else _size(_heal_after(Random(seed)), requests)


def _is_busy(seed: int) -> bool:
    return seed % BUSY_EVERY == FIRST_BUSY


def _heal_after(dice: Random) -> float:
    return dice.choice([600, 600, HOUR, HOUR, 6 * HOUR, LONGEST_OUTAGE])


def _size(heal_after: float, requests: int) -> int:
    return -(-requests // SHARE_OF_LONGEST) if heal_after == LONGEST_OUTAGE else requests


def make(seed: int, requests: int, receives: int = MOST_RECEIVES) -> Plan:
    """The plan of a seed, with so many requests (see `size`); of most queues a message can be received so often."""
    dice = Random(seed)
    heal_after = _heal_after(dice)
    requests = _size(heal_after, requests)
    intensity = dice.choice([0, 0.03, 0.1, 0.25, 0.5])
    calm = dice.random() < 0.2 or seed % CALM_EVERY == 1  # of AWS and our workers; HubSpot has its own weather
    unreadable = dice.choice(sorted(SEEDED_TYPES)) if dice.random() < 0.2 else None
    plan = Plan(
        seed=seed,
        requests=requests,
        switches={
            "existingLimit": dice.choice(["overwrite", "overwrite", "overwrite", "refuse"]),
            "badInput": dice.choice(["alone", "batch"]),
            "errorContext": dice.choice(["type", "type", "none"]),
            "labelEqualsObject": dice.choice(["allow", "refuse"]),
            "unsetLimit": dice.choice(["absent", "null", "unlimited"]),
            "successStatus": dice.choice([200, 201]),
            "scopeContext": dice.choice(["map", "string"]),
            "rateLimitHeaders": dice.choice(["send", "omit"]),
            "readLagSeconds": dice.choice([0, 0, 0, 1, 5, 40, 70, 300]),
            "tenSecondlyLimit": dice.choice([None, 190, 190, 20]),
            "dailyLimit": dice.choice([1_000_000, 1_000_000, 1_000_000, max(20, requests // 3)]),
            "utcOffsetMinutes": dice.choice([0, 60, -300]),
        },
        faults=_faults(dice, intensity, unreadable),
        asks=[],
        zones={"default": dice.choice(["UTC", "Europe/Berlin", "America/New_York"])},
        heal_after=heal_after,
        crash=0 if calm else dice.choice([0, 0.003, 0.02]),
        stall=0 if calm else dice.choice([0, 0, 0.01]),
        aws_fails=0 if calm else dice.choice([0, 0.005, 0.03]),
        refused_connections=0 if calm else dice.choice([0, 0.02]),
        index_lag=dice.choice([0, 0.5, 3, 60]),
        duplicates=dice.choice([0, 0, 0.05]),
        max_receives=dice.choice([receives, receives, receives, VERY_FEW_RECEIVES]),
        batch_size=dice.choice([100, 100, 3]),
        token_change=(dice.uniform(0, heal_after / 2), heal_after * 0.7) if dice.random() < 0.2 else None,
        oauth=dice.random() < 0.7,
        rotates=dice.random() < 0.5,
        broken_oauth=(dice.uniform(0, heal_after / 2), heal_after * 0.8) if dice.random() < 0.2 else None,
        unreadable=unreadable,
        retried_writes=0 if calm else dice.choice([0, 0.01, 0.05]),
        skew=0 if calm else dice.choice([0, 0.5, 2]),
        moved_letters=0 if calm else dice.choice([0, 0.5]),
        lands_late=0 if calm else dice.choice([0, 0, 0.05, 0.2]),
        flaps=0 if calm else dice.choice([0, 0.5]),
        replays=[] if calm else _replays(dice, heal_after),
    )
    if heal_after == LONGEST_OUTAGE and Random(f"patience {seed}").random() < 0.5:
        plan.give_up_after = 6
    if plan.moved_letters and (dice.random() < 0.5 or plan.max_receives == VERY_FEW_RECEIVES):
        # What is moved is a new request. With two receives a dead reader can have left the old one RUNNING, which its
        # message alone would have brought back.
        plan.max_receives = FEW_RECEIVES
    if _is_busy(seed):
        _be_busy(dice, plan)
        return plan
    if seed % RUSH_EVERY == 0:
        _hurry(plan)
    elif seed % SHAKY_EVERY == FIRST_SHAKY and not unreadable:
        _shake(plan)
    _ask(dice, plan, requests)
    return plan


def _shake(plan: Plan) -> None:
    dice = Random(f"shaky {plan.seed}")  # of its own, so that the other seeds stay what they are
    plan.shaky = dice.choice(
        [pair for pair in sorted(SEEDED_TYPES) if pair.from_type in NAMES and pair.to_type in NAMES]
    )
    pair = {"fromObjectType": plan.shaky.from_type, "toObjectType": plan.shaky.to_type}
    for operation, share, status in (
        ("create", 0.3, {"status": 477, "retryAfterSeconds": 60}),
        ("create", 0.4, {"status": 504, "applied": True}),
        ("read", 0.7, {"status": 503}),
    ):
        told = {"share": share, "seed": dice.getrandbits(31), "effect": {"kind": "status", **status}}
        plan.faults.append({"operation": operation, **pair, **told})


def _hurry(plan: Plan) -> None:
    plan.rush, plan.faults = True, []
    plan.switches |= {"tenSecondlyLimit": RUSH_CALLS, "dailyLimit": 1_000_000, "readLagSeconds": 0}
    _calm_down(plan)


def _calm_down(plan: Plan) -> None:
    plan.crash = plan.stall = plan.aws_fails = plan.refused_connections = plan.duplicates = 0
    plan.retried_writes = plan.skew = plan.moved_letters = plan.lands_late = plan.flaps = 0
    plan.token_change = plan.broken_oauth = plan.unreadable = None
    plan.replays = []


def _replays(dice: Random, heal_after: float) -> list[Replay]:
    moments = [dice.uniform(60, 1.5 * heal_after) for _ in range(dice.choice([0, 1, 4, 8]))]
    return [Replay(moment, dice.random() < 0.2) for moment in sorted(moments)]


def _be_busy(dice: Random, plan: Plan) -> None:
    """One request waits for hours, as HubSpot moves the account when it comes. A younger one for the same limit does
    not, nor do more requests for other limits of the pair than any search goes through."""
    plan.requests, plan.rush, plan.heal_after, plan.batch_size, plan.max_receives = (
        BUSY_REQUESTS,
        False,
        HOUR,
        100,
        MOST_RECEIVES,
    )
    plan.switches |= {"tenSecondlyLimit": None, "dailyLimit": 1_000_000, "existingLimit": "overwrite"}
    plan.messages_at_once = 100
    _calm_down(plan)
    pair = Pair("0-1", "0-2")
    wait = {"kind": "status", "status": 477, "retryAfterSeconds": dice.choice([3 * 3600, 12 * 3600])}
    plan.faults = [{"operation": "create", "times": 1, "effect": wait}]
    spelt_alike = dice.random() < 0.5

    def ask(after: float, type_id: int, number: int) -> Ask:
        names = _spelt(dice, pair, alike=spelt_alike)
        return Ask(after, "queue", "default", names, (("HUBSPOT_DEFINED", type_id, number),))

    waiting, younger = ask(0, 279, 6_000), ask(30, 279, 7_000)
    numbers = dice.sample(range(1, 5_000), BUSY_REQUESTS - 2)
    others = [ask(40 + 5.0 * dice.randrange(BURSTS), 1, number) for number in numbers]
    plan.asks = sorted([waiting, younger, *others], key=lambda one: one.after)


def _faults(dice: Random, intensity: float, unreadable: Pair | None) -> list[dict[str, Any]]:
    orders: list[dict[str, Any]] = []
    if unreadable:
        pair = {"fromObjectType": unreadable.from_type, "toObjectType": unreadable.to_type}
        orders.append({"operation": "read", **pair, "share": 1, "effect": {"kind": "status", "status": 404}})
        # Some requests of the pair have to wait, and what others have sent can never be confirmed.
        for status in ({"status": 477, "retryAfterSeconds": 600}, {"status": 504, "applied": True}):
            told = {"share": 0.2, "seed": dice.getrandbits(31), "effect": {"kind": "status", **status}}
            orders.append({"operation": "create", **pair, **told})
    if not intensity:
        return orders
    kinds = dice.sample(range(len(EFFECTS)), dice.randint(1, 8))
    for kind in kinds:
        operation = dice.choice(["create", "create", "any", "read"])
        effect = EFFECTS[kind](dice, operation)
        if effect is None:
            continue
        share = intensity / len(kinds)
        orders.append({"operation": operation, "share": share, "seed": dice.getrandbits(31), "effect": effect})
    if dice.random() < 0.3:
        for operation in ("token", "account"):
            effect = {"kind": "status", "status": dice.choice(UNCERTAIN)}
            orders.append({"operation": operation, "share": intensity, "seed": dice.getrandbits(31), "effect": effect})
    return orders


def _uncertain(dice: Random, operation: str) -> dict[str, Any]:
    return {"kind": "status", "status": dice.choice(UNCERTAIN), "applied": dice.random() < 0.5}


def _never_arrived(dice: Random, operation: str) -> dict[str, Any]:
    return {"kind": "status", "status": dice.choice(NEVER_ARRIVED)}


def _refusal(dice: Random, operation: str) -> dict[str, Any] | None:
    # Of a read, such a refusal counts as one for good: that is what `unreadable` is for.
    return {"kind": "status", "status": dice.choice([400, 404, 422])} if operation == "create" else None


def _token(dice: Random, operation: str) -> dict[str, Any]:
    return {"kind": "status", "status": dice.choice([401, 403])}


def _limited(dice: Random, operation: str) -> dict[str, Any]:
    policy = dice.choice(["TEN_SECONDLY_ROLLING", "TEN_SECONDLY_ROLLING", "DAILY"])
    return {"kind": "status", "status": 429, "policy": policy}


def _locked(dice: Random, operation: str) -> dict[str, Any]:
    return {"kind": "status", "status": 423}


def _moving(dice: Random, operation: str) -> dict[str, Any]:
    return {"kind": "status", "status": 477, "retryAfterSeconds": dice.choice([60, 3600, 86_400])}


def _drop(dice: Random, operation: str) -> dict[str, Any]:
    return {"kind": "drop", "applied": dice.random() < 0.5, "reset": dice.random() < 0.5}


def _slow(dice: Random, operation: str) -> dict[str, Any]:
    return {"kind": "delay", "delayMs": dice.choice([3_000, 19_000, 25_000, 60_000]), "late": dice.random() < 0.5}


def _incomplete(dice: Random, operation: str) -> dict[str, Any]:
    status = dice.choice(["PENDING", "PROCESSING", "CANCELED"])
    return {"kind": "incomplete", "bodyStatus": status, "applied": dice.random() < 0.5}


def _broken(dice: Random, operation: str) -> dict[str, Any]:
    return {"kind": "broken", "body": dice.choice(["truncated", "html", "empty"])}


def _silent(dice: Random, operation: str) -> dict[str, Any] | None:
    # A read without its rows is a lie that nothing can see through: no client would be right.
    return {"kind": "noResults", "applied": dice.random() < 0.7} if operation == "create" else None


def _echo(dice: Random, operation: str) -> dict[str, Any] | None:
    return {"kind": "echo", "by": dice.choice([1, -1, 1000])} if operation == "create" else None


EFFECTS = (
    _uncertain,
    _uncertain,
    _never_arrived,
    _refusal,
    _token,
    _limited,
    _limited,
    _locked,
    _moving,
    _drop,
    _drop,
    _slow,
    _slow,
    _incomplete,
    _broken,
    _silent,
    _echo,
)


def _ask(dice: Random, plan: Plan, requests: int) -> None:
    pairs = [pair for pair in sorted(SEEDED_TYPES) if pair.from_type in NAMES and pair.to_type in NAMES]
    pairs = dice.sample(pairs, dice.randint(1, 8))
    if plan.shaky:
        pairs = [plan.shaky] * 3 * len(pairs) + pairs
    if plan.unreadable:
        pairs = [plan.unreadable] * len(pairs) + pairs  # what can never be read back is asked for as often as the rest
    span = dice.choice([1, 60, plan.heal_after * 0.05, plan.heal_after * 0.5, plan.heal_after * 1.2])
    span = 1 if plan.rush else span
    numbers = Numbers(dice, repeated=0.1 if dice.random() < 0.25 else 0)
    spelt_alike = dice.random() < 0.3
    keyed: list[tuple[Ask, Pair]] = []

    def version() -> str:
        return VERSIONS[0] if spelt_alike else dice.choice(VERSIONS)

    for number in range(requests):
        way = dice.choices(["queue", "webhook", "async", "schedule"], [12, 4, 2, 2])[0]
        pair = dice.choice(pairs)
        portal = dice.choice(["default", "default", "acme"])
        inputs = _inputs(dice, portal, pair, numbers)
        key = f"key-{number}" if way == "schedule" or dice.random() < 0.3 else None
        names = _spelt(dice, pair, alike=spelt_alike)
        ask = Ask(dice.uniform(0, span), way, portal, names, inputs, key, version())
        plan.asks.append(ask)
        if key and way != "schedule":
            keyed.append((ask, pair))
    for ask, pair in keyed:
        if dice.random() < 0.2:  # asked again with its key, sometimes for something else
            later = ask.after + dice.choice([0, 1, 30, 2_000])
            inputs = ask.inputs
            if dice.random() < 0.2:
                category, type_id, _ = inputs[-1]
                other = numbers.new((ask.portal, pair, TypeKey(category, type_id)), 1, 4_999)
                inputs = (*inputs[:-1], (category, type_id, other))
            names = _spelt(dice, pair, alike=spelt_alike)
            plan.asks.append(replace(ask, after=later, pair=names, inputs=inputs, version=version()))
    plan.asks.sort(key=lambda ask: ask.after)


def _spelt(dice: Random, pair: Pair, *, alike: bool) -> tuple[str, str]:
    """The two object types of a pair, each under any of its names, or all `alike` under the usual one."""
    if alike:
        return NAMES[pair.from_type][0], NAMES[pair.to_type][0]
    return dice.choice(NAMES[pair.from_type]), dice.choice(NAMES[pair.to_type])


class Numbers:
    """Numbers to ask for. Mostly no two requests ask for the same one of a limit, so that each tells whose it is; where
    some are `repeated`, that share of them is."""

    def __init__(self, dice: Random, repeated: float) -> None:
        self._dice = dice
        self._repeated = repeated
        self._used: dict[tuple[str, Pair, TypeKey], list[int]] = {}

    def new(self, limit: tuple[str, Pair, TypeKey], low: int, high: int) -> int:
        """A number for a limit, between two."""
        used = self._used.setdefault(limit, [])
        if used and self._dice.random() < self._repeated:
            return self._dice.choice(used)
        number = self._dice.randint(low, high)
        while number in used:
            number = self._dice.randint(low, high)
        used.append(number)
        return number


def _inputs(dice: Random, portal: str, pair: Pair, numbers: Numbers) -> tuple[tuple[str, int, int], ...]:
    types = list(SEEDED_TYPES[pair].items())
    chosen = dice.sample(types, dice.randint(1, len(types)))
    inputs = []
    for key, label in chosen:
        low, high = (5_000, 9_999) if label is None else (1, 4_999)
        if dice.random() < 0.04:
            low, high = (1, 9_999)  # now and then a label above its object limit
        inputs.append((key.category, key.type_id, numbers.new((portal, pair, key), low, high)))
    if dice.random() < 0.05:
        inputs.append(("HUBSPOT_DEFINED", 999, dice.randint(1, 9_999)))
    if dice.random() < 0.05:
        inputs[0] = (*inputs[0][:2], dice.randint(20_000, 90_000))
    return tuple(inputs)
