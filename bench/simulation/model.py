"""What things take in the simulation: measured where it can be, assumed where it cannot."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from random import Random

from bench.simulation.cloud import Table

FULL_CPU = 1_769  # MiB at which a function has one vCPU: Lambda Developer Guide, "Configure Lambda function memory"


@dataclass(frozen=True)
class Durations:
    """Seconds. HubSpot's is the median of its answers, as in `make bench`. The processor's are for one message on a
    whole core: measured, 1.8 ms, and 2.2 ms for each call of DynamoDB: its settlement, where a message has its pair for
    itself, and its part of a claim of 25. AWS's are assumptions."""

    hubspot: float = 0.15
    dynamodb: float = 0.005
    secrets_manager: float = 0.02
    processor: float = 0.0041
    cold_start: float = 0.6


@dataclass(frozen=True)
class Units:
    """Write units of a request of four limits, as `python -m bench.units` measures them: those of the table. Its
    indexes need fewer, and never are the bottleneck. `lease` is to take a pair, and again to give it back."""

    claim: float = 1
    settle: float = 1
    lease: float = 1
    bucket: float = 1


@dataclass
class Spent:
    """What all invocations have used: `seconds` of functions, and of pairs by what they waited for."""

    calls: int = 0
    secrets: Counter[int] = field(default_factory=Counter)  # by second
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))


@dataclass(frozen=True)
class Model:
    """What does not change from one invocation to the next."""

    timeout: float
    memory_mib: int
    batch_size: int
    calls_5xx: float
    table: Table
    random: Random
    spent: Spent
    durations: Durations = Durations()
    units: Units = Units()

    @property
    def work(self) -> float:
        """Seconds of a function's processor for half of a message's work: before its call, or after it."""
        return self.durations.processor / 2 / min(1.0, self.memory_mib / FULL_CPU)
