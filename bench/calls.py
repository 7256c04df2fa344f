"""Measure 2: calls and time for many messages over few pairs, against one call for each message."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench import environment
from bench.checkout import Checkout
from bench.deployed import BATCH_SIZE
from bench.fleet import WORKERS, Contestant, Invocation, Mapping, run
from bench.ours import CONSUMER, MAPPING
from bench.peers.events import deliver
from bench.picture import lines
from bench.report import Figure, Picture, Ratio, Section
from bench.stage import DYNAMODB_MS, HUBSPOT_MS, stage
from bench.traffic import PAIRS, fewest_calls, messages, types
from bench.turns import in_turn
from local.processes import ROOT

QUOTA = 190  # calls in ten seconds: HubSpot's for Professional and Enterprise accounts
LARGE = 20_000
# A handler on an SDK has the mapping's and the queue's own defaults: ten messages, no window, 30 s.
PLAIN = Mapping(10, 0)
PEERS = {"hubspot-sdk": "bench.peers.sdk", "hubspot-api-client": "bench.peers.api_client"}
PLAIN_TIMEOUT = 30  # seconds
TURNS = 6  # of this checkout with the base
OTHER_MAPPINGS = (Mapping(10, 0), Mapping(100, 1), Mapping(500, 5), Mapping(1_000, 5))
TEXT = f"""\
Messages of three limits each over {PAIRS} pairs, a few of them busy (bench/traffic.py says which and why), wait in
the queue. {WORKERS} worker processes get them in batches as Lambda's event source mapping gathers them, of
{MAPPING.messages} messages for ours and of its default of {PLAIN.messages} for the others. The stand-in answers in
{HUBSPOT_MS} ms and allows {QUOTA} calls in ten seconds. The ledger is bench/aws.py, which answers everybody in
{DYNAMODB_MS} ms: an emulator would take longer than all the rest.

The handlers on HubSpot's SDKs make one call for each message, and are measured on fewer messages: how long all would
take is worked out from their pace between the first and the last tenth of what was measured, and the calls from the
calls for each. One call for each event is modelled by bench/peers/events.py, at the rate of the quota. The fewest calls
are the sum over invocations and pairs of the distinct limits by the batch size, rounded up.

With a base, its consumer and that of this checkout take turns with fewer messages. Processor time is that of the
workers within their invocations, the first of each included. Write units are DynamoDB's, by its rules for the size of
an item and of its entries in indexes (bench/write_units.py), pairs and failed conditions included, the portal's bucket
not."""


@dataclass(frozen=True)
class Measured:
    """What came of a run: its invocations, seconds, calls of HubSpot and those of them answered 429."""

    invocations: Sequence[Invocation]
    seconds: float
    calls: int
    refused: int

    @property
    def fewest(self) -> int:
        """The fewest calls that carry each invocation's batch."""
        return fewest_calls([each.batch for each in self.invocations], BATCH_SIZE)

    @property
    def pace(self) -> float:
        """Messages done in a second, between the first and the last tenth of them."""
        done, moments = 0, []
        for each in sorted(self.invocations, key=_ended):
            done += len(each.batch) - each.again
            moments.append((done, _ended(each)))
        first = next(moment for moment in moments if moment[0] >= done * 0.1)
        last = next(moment for moment in moments if moment[0] >= done * 0.9)
        return (last[0] - first[0]) / (last[1] - first[1])


def measure(quick: bool, base: Checkout | None = None) -> Section:
    """Ours with 2,000 and 20,000 messages, the others with as many as there is time for; with a base, both in turns."""
    runs, small, large, of_others = (1, 400, 2_000, 200) if quick else (2, 2_000, LARGE, 600)
    ours = {count: [_measured(CONSUMER, count, MAPPING) for _ in range(runs)] for count in (small, large)}
    plain = Contestant("", environment.installed(), str(ROOT), PLAIN_TIMEOUT)
    others = {
        name: [_measured(_with(plain, module), of_others, PLAIN) for _ in range(runs)] for name, module in PEERS.items()
    }
    events = [_events(of_others // 4) for _ in range(runs)]
    figures: list[Figure] = []
    ratios: list[Ratio] = []
    for count, measured in ours.items():
        calls, seconds = _figures(f"ours, {count:,} messages", measured)
        fewest = Figure(f"fewest calls for {count:,} messages in these batches", "calls", _each(measured, "fewest"))
        figures += [calls, seconds, fewest]
        ratios.append(Ratio(f"calls for {count:,} messages / fewest", calls, fewest, 1.02))
    # Of the most messages from here on.
    for name, theirs in others.items():
        scale = large / of_others
        their_calls = Figure(
            f"{name}, {large:,} messages, scaled: calls", "calls", tuple(r.calls * scale for r in theirs)
        )
        their_time = Figure(f"{name}, {large:,} messages, scaled: time", "s", tuple(large / r.pace for r in theirs))
        targets = (1 / 20, 1 / 10) if name == "hubspot-sdk" and not quick else (None, None)
        figures += [their_calls, their_time]
        ratios.append(Ratio(f"calls, ours / {name}", calls, their_calls, targets[0]))
        ratios.append(Ratio(f"time, ours / {name}", seconds, their_time, targets[1]))
    per_event = Figure(
        f"one call for each event, {large:,} messages, scaled: time", "s", tuple(large * each for each in events)
    )
    figures.append(per_event)
    ratios.append(Ratio("time, ours / one call for each event", seconds, per_event, None))
    figures += _invocations("ours", ours[large])
    if not quick:
        for mapping in OTHER_MAPPINGS:
            figures += _of_mapping(mapping)
    if base:
        head, its = _in_turns(base, *((2, 400) if quick else (TURNS, 4_000)))
        figures += [head, its]
        ratios.append(Ratio("processor time of a message, head / base", head, its, 1.05))
        head, its = (_units(each) for each in (None, base))
        figures += [head, its]
        ratios.append(Ratio("write units of a message of four limits, head / base", head, its, None))
    return Section("Calls and time", TEXT, tuple(figures), tuple(ratios), (_picture(ours, large),))


def _measured(contestant: Contestant, count: int, mapping: Mapping) -> Measured:
    with stage(types(), tenSecondlyLimit=QUOTA) as set_up:
        records = messages(count, time.time() - count / 1000)
        invocations = run(contestant, records, mapping, set_up, QUOTA_CALLS=str(QUOTA))
        journal = set_up.journal()
    refused = sum(entry["status"] == 429 for entry in journal)
    one = Measured(invocations, max(map(_ended, invocations)), len(journal), refused)
    print(
        f"  {contestant.module}: {count:,} messages by {mapping.messages}: {one.calls} calls ({refused} refused),",
        end=" ",
    )
    print(f"{one.seconds:.0f} s", flush=True)
    return one


def _in_turns(base: Checkout, turns: int, count: int) -> tuple[Figure, Figure]:
    """Processor time of a message, of this checkout and of the base."""
    theirs = Contestant(CONSUMER.module, base.python, str(base.root / "functions"), CONSUMER.timeout)
    names = {CONSUMER: f"in turns, {count:,} messages", theirs: f"{base.label}in turns, {count:,} messages"}
    measured: dict[Contestant, list[Measured]] = {each: [] for each in names}
    for turn in range(turns):
        for contestant in in_turn(list(names), turn):
            measured[contestant].append(_measured(contestant, count, MAPPING))
    head, its = (_processor_time(name, measured[contestant]) for contestant, name in names.items())
    return head, its


def _units(base: Checkout | None, count: int = 4_000) -> Figure:
    """Write units of a message of four limits, in batches of 1,000 over 40 pairs; the portal's bucket apart."""
    contestant, name = CONSUMER, ""
    if base:
        contestant = Contestant(CONSUMER.module, base.python, str(base.root / "functions"), CONSUMER.timeout)
        name = base.label
    with stage(types(), tenSecondlyLimit=None) as set_up:
        run(contestant, messages(count, time.time() - count / 1000, inputs=4), MAPPING, set_up, QUOTA_CALLS="1000000")
        units = {kind: number for kind, number in set_up.units().items() if kind != "budget"}
    return Figure(f"{name}write units of a message of four limits", "units", (sum(units.values()) / count,))


def _events(count: int) -> float:
    """Seconds for each event."""
    with stage(types(), tenSecondlyLimit=QUOTA) as set_up:
        return deliver(messages(count, time.time() - count / 1000), set_up, QUOTA / 10) / count


def _with(contestant: Contestant, module: str) -> Contestant:
    return Contestant(module, contestant.python, contestant.path, contestant.timeout)


def _figures(name: str, measured: Sequence[Measured]) -> tuple[Figure, Figure]:
    calls, seconds = _each(measured, "calls"), _each(measured, "seconds")
    return Figure(f"{name}: calls", "calls", calls), Figure(f"{name}: time", "s", seconds)


def _of_mapping(mapping: Mapping, count: int = 1_000) -> list[Figure]:
    """What a run of 1,000 messages costs with another setting. One alone waits for the window, by definition of it."""
    one = _measured(CONSUMER, count, mapping)
    name = f"ours, {count:,} messages by {mapping.messages} within {mapping.window:g} s"
    return [*_figures(name, [one]), *_invocations(name, [one])]


def _invocations(name: str, measured: Sequence[Measured]) -> list[Figure]:
    invocations = [one.invocations for one in measured]
    return [
        Figure(f"{name}: an invocation", "s", tuple(median(each.seconds for each in of) for of in invocations)),
        Figure(f"{name}: peak memory", "MiB", tuple(max(each.peak_kib for each in of) / 1024 for of in invocations)),
        _processor_time(name, measured),
    ]


def _processor_time(name: str, measured: Sequence[Measured]) -> Figure:
    """Milliseconds of each run."""
    invocations = [one.invocations for one in measured]
    return Figure(
        f"{name}: processor time of a message",
        "ms",
        tuple(1000 * sum(i.cpu_seconds for i in of) / sum(len(i.batch) for i in of) for of in invocations),
    )


def _each(measured: Sequence[Measured], name: str) -> tuple[float, ...]:
    return tuple(getattr(one, name) for one in measured)


def _ended(invocation: Invocation) -> float:
    return invocation.started + invocation.seconds


def _picture(ours: dict[int, list[Measured]], large: int) -> Picture:
    measured = [(0.0, 0.0), *((float(count), median(_each(runs, "calls"))) for count, runs in ours.items())]
    return Picture(
        "calls",
        lines(
            "Calls of HubSpot against messages",
            "messages",
            "calls",
            [("ours", measured), ("one call for each message or event", [(0, 0), (large, large)])],
        ),
    )
