"""How sure a median is: intervals by the bootstrap, from the runs alone and the same ones each time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from math import floor
from random import Random
from statistics import median

RESAMPLES = 2_000
CONFIDENCE = 0.95


def of_median(values: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Between which values the median lies, as far as the runs tell."""
    return _between(_medians(tuple(values)), median(values), confidence)


def of_ratio(over: Sequence[float], under: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The same for the ratio of two medians: turn by turn where both were measured in the same turns, so that what
    slowed both down in a turn does not count; else each on its own."""
    # As many runs are drawn in the same way, so these are the same turns of both.
    pairs = zip(_medians(tuple(over)), _medians(tuple(under)), strict=True)
    return _between((one / other for one, other in pairs if other), median(over) / median(under), confidence)


@cache
def _medians(values: tuple[float, ...]) -> list[float]:
    """The medians of as many runs again, drawn from these ones."""
    return [median(values[place] for place in drawn) for drawn in _draws(len(values))]


@cache
def _draws(count: int) -> list[list[int]]:
    chance = Random(count)
    return [chance.choices(range(count), k=count) for _ in range(RESAMPLES)]


def _between(medians: Iterable[float], observed: float, confidence: float) -> tuple[float, float]:
    ranked = sorted(medians)
    beyond = floor((1 - confidence) / 2 * len(ranked))
    # Of a middle that the draws happen to miss the observed one is part all the same.
    return min(ranked[beyond], observed), max(ranked[-1 - beyond], observed)
