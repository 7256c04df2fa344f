"""What the ledger answers to a worker that wants to run a request."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from model.outcomes import Outcome


class ClaimStatus(StrEnum):
    """Whether the worker may run the request, and why not."""

    CLAIMED = "CLAIMED"  # nobody else may run it until the lease ends
    QUEUED = "QUEUED"  # accepted before, and still for the queue to run
    FINAL = "FINAL"  # done before: the outcome is the answer
    LEASED = "LEASED"  # another worker runs it
    DEFERRED = "DEFERRED"  # its time has not come
    KEY_REUSED = "KEY_REUSED"  # the id belongs to a request that asks for something else
    LEDGER_UNAVAILABLE = "LEDGER_UNAVAILABLE"  # without an answer from the ledger nothing may be done


@dataclass(frozen=True)
class Claim:
    """The answer to a claim. `fence` grows with each claim; `abandoned` means that the last holder never settled."""

    claim_status: ClaimStatus
    outcome: Outcome
    fence: int = 0
    abandoned: bool = False
    lease_until: datetime | None = None
