"""What the ledger answers to one who wants to run a request."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from batch_create.outcomes import Outcome


class Standing(StrEnum):
    """What the ledger says to one who wants to run a request."""

    OURS = "OURS"  # nobody else may run it until the lease ends
    WAITING = "WAITING"  # accepted before, and still for the queue to run
    FINISHED = "FINISHED"  # done before: the outcome is the answer
    ELSEWHERE = "ELSEWHERE"  # another worker is at it
    PARKED = "PARKED"  # deferred, and its time has not come
    ANOTHER_REQUEST = "ANOTHER_REQUEST"  # the id belongs to a request that asks for something else
    UNREACHED = "UNREACHED"  # no word from the ledger: nothing may be done


@dataclass(frozen=True)
class Claim:
    """The answer to a claim. `fence` grows with each claim; `abandoned` means that the last holder never settled."""

    standing: Standing
    outcome: Outcome
    fence: int = 0
    abandoned: bool = False
    lease_until: datetime | None = None
