"""What a measure has to say: figures, ratios of them with their targets, and pictures."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from bench import interval


@dataclass(frozen=True)
class Figure:
    """One quantity, measured once in each of several runs."""

    name: str
    unit: str
    values: tuple[float, ...]  # one per run

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def interval(self) -> tuple[float, float]:
        """Where the median is, with 95 % confidence."""
        return interval.of_median(self.values)

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the most of the runs."""
        return min(self.values), max(self.values)


@dataclass(frozen=True)
class Ratio:
    """How one quantity stands to another of the same runs. Without a target it only informs."""

    name: str
    over: Figure
    under: Figure
    target: float | None
    at_most: bool = True

    @property
    def value(self) -> float:
        """The ratio of the medians."""
        return self.over.median / self.under.median

    @property
    def interval(self) -> tuple[float, float]:
        """Where the ratio of the medians is, with 95 % confidence."""
        return interval.of_ratio(self.over.values, self.under.values)

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the most that the runs allow: run by run where both were measured in the same ones."""
        over, under = self.over.values, self.under.values
        if len(over) == len(under):
            ratios = [one / other for one, other in zip(over, under, strict=True)]
            return min(ratios), max(ratios)
        return min(over) / max(under), max(over) / min(under)

    @property
    def met(self) -> bool:
        """Whether the target is met, or there is none."""
        if self.target is None:
            return True
        return self.value <= self.target if self.at_most else self.value >= self.target


@dataclass(frozen=True)
class Picture:
    """An SVG, kept beside the report as `{name}.svg`."""

    name: str
    svg: str


@dataclass(frozen=True)
class Section:
    """The result of one measure. `text` says how it was measured, in Markdown."""

    title: str
    text: str
    figures: tuple[Figure, ...]
    ratios: tuple[Ratio, ...]
    pictures: tuple[Picture, ...]

    @property
    def missed(self) -> tuple[Ratio, ...]:
        """The ratios that miss their targets."""
        return tuple(ratio for ratio in self.ratios if not ratio.met)
