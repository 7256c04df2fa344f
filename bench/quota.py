"""Measure 3: how much of HubSpot's quota is used under a sustained load, alone and beside another program."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from math import ceil
from typing import Any

from bench.fleet import WORKERS, Mapping, run
from bench.ours import CONSUMER
from bench.picture import lines
from bench.report import Figure, Picture, Ratio, Section
from bench.stage import HUBSPOT_MS, OTHERS, OURS, running, stage
from bench.traffic import PAIRS, distinct_messages, types

WINDOW = 10  # seconds; HubSpot's quota is of calls in ten seconds
SPARE = 1.2  # times as many messages as the quota has calls, so that no worker is ever idle
BATCH = Mapping(20, 0)  # of 20 pairs: as many calls, so that a batch's work is over before the measuring is
WARM_UP = 12  # seconds for which the other program has been at work before ours begins: more than a window
TEXT = f"""\
Messages of which no two ask for the same limit, so that folding takes none of the load away, wait in the queue;
{WORKERS} worker processes get {BATCH.messages} at a time, each of another pair. The stand-in answers in {HUBSPOT_MS}
ms. Counted from its journal, from the first call of ours on, for {{seconds}} s: calls that it did not answer 429 are
used quota. The other program has another token of the same app, which is what shares HubSpot's ten-second limit; it has
begun {WARM_UP} s before and reads at an even pace, a third of the quota."""

Journal = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Used:
    """What became of the calls within the time that was measured: ours and others', by second for the picture."""

    allowed: int
    ours: int
    refused: int
    others: int
    others_refused: int
    by_second: dict[str, Counter[int]]
    bucket_writes: int = 0  # of all our calls, also of those after the measured time
    all_calls: int = 0

    @property
    def left(self) -> int:
        """The calls that the quota allows, without those that the others made."""
        return self.allowed - self.others


def used(journal: Journal, quota: int, seconds: int) -> Used:
    """Count the calls of the first `seconds` from our first one on."""
    first = min(_moment(entry) for entry in journal if entry["tokenName"] == OURS)
    entries = [(entry, _moment(entry) - first) for entry in journal]
    accepted: dict[str, Counter[int]] = {OURS: Counter(), OTHERS: Counter()}
    refused: Counter[str] = Counter()
    for entry, after in entries:
        if not 0 <= after < seconds:
            continue
        if entry["status"] == 429:
            refused[entry["tokenName"]] += 1
        else:
            accepted[entry["tokenName"]][int(after)] += 1
    return Used(
        quota * seconds // WINDOW,
        accepted[OURS].total(),
        refused[OURS],
        accepted[OTHERS].total(),
        refused[OTHERS],
        accepted,
    )


def measure(quick: bool) -> Section:
    """100 calls in ten seconds for us alone; then 190, of which another program takes a third."""
    seconds, runs = (30, 1) if quick else (120, 2)
    alone = [_loaded(100, seconds, None) for _ in range(runs)]
    beside = [_loaded(190, seconds, 190 / 3 / WINDOW) for _ in range(runs)]
    figures: list[Figure] = []
    ratios: list[Ratio] = []
    for name, runs_of, target in (("100, alone", alone, 0.95), ("190, beside another program", beside, 0.90)):
        made = Figure(f"{name}: calls that HubSpot took", "calls", tuple(each.ours for each in runs_of))
        left = Figure(f"{name}: calls that were left to make", "calls", tuple(each.left for each in runs_of))
        refused = Figure(f"{name}: calls answered 429", "calls", tuple(each.refused for each in runs_of))
        all_calls = Figure(f"{name}: calls made", "calls", tuple(each.ours + each.refused for each in runs_of))
        figures += [made, left, refused]
        ratios += [
            Ratio(f"{name}: quota used", made, left, target, at_most=False),
            Ratio(f"{name}: 429s of all our calls", refused, all_calls, 0.005),
            Ratio(
                f"{name}: writes of the token bucket for a call",
                Figure(f"{name}: writes of the token bucket", "", tuple(each.bucket_writes for each in runs_of)),
                Figure(f"{name}: calls in all", "", tuple(each.all_calls for each in runs_of)),
                None,
            ),
        ]
    theirs = Figure("429s that the other program met", "calls", tuple(each.others_refused for each in beside))
    pictures = (_picture("quota-alone", alone[-1], 100, seconds), _picture("quota-beside", beside[-1], 190, seconds))
    return Section("Use of the quota", TEXT.format(seconds=seconds), (*figures, theirs), tuple(ratios), pictures)


def _loaded(quota: int, seconds: int, others_per_second: float | None) -> Used:
    of_each = ceil(quota * seconds / WINDOW * SPARE / PAIRS)
    with stage(types(of_each), tenSecondlyLimit=quota) as set_up:
        other: AbstractContextManager[None] = nullcontext()
        if others_per_second:
            told = ["--hubspot", set_up.hubspot, "--token", set_up.other_token, "--per-second", str(others_per_second)]
            other = running("bench.other_app", *told)
        with other:
            if others_per_second:
                time.sleep(WARM_UP)
            records = distinct_messages(of_each, sent_at=time.time())
            run(CONSUMER, records, BATCH, set_up, seconds + 1, QUOTA_CALLS=str(quota))
            journal = set_up.journal()
            return replace(
                used(journal, quota, seconds),
                bucket_writes=set_up.counts().get("UpdateItem budget", 0),
                all_calls=sum(entry["tokenName"] == OURS for entry in journal),
            )


def _moment(entry: dict[str, Any]) -> float:
    return datetime.fromisoformat(entry["time"]).timestamp()


def _picture(name: str, of: Used, quota: int, seconds: int) -> Picture:
    labels = {OURS: "ours", OTHERS: "the other program"}
    series = [
        (labels[token], [(float(second), float(calls[second])) for second in range(seconds)])
        for token, calls in of.by_second.items()
        if calls
    ]
    level = ("the quota", quota / WINDOW)
    return Picture(
        name, lines(f"Calls against a quota of {quota} in ten seconds", "seconds", "calls a second", series, [level])
    )
