"""What one call to HubSpot came to."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from batch_create.attribution import Attribution
from batch_create.plan import Call
from model.contract import LimitKey
from model.errors import HubSpotFailure
from model.outcomes import Attempt, Doubt, HubSpotResponse, Result

Limits = dict[LimitKey, int | None]


class Batch(Enum):
    """What HubSpot made of a batch as a whole."""

    ACCEPTED = "accepted"  # each input has an answer, or waits
    REFUSED = "refused"
    OPEN = "open"


@dataclass
class CallResult:
    """What a call came to: the attribution of each input it decided and, for the others, why they must wait.

    With neither, it decided nothing by itself: its inputs follow in the decisions of other calls. `doubt` is about
    those that were sent and have no attribution.
    """

    call: Call
    attributions: dict[LimitKey, Attribution] = field(default_factory=dict)
    deferral: HubSpotFailure | None = None
    doubt: Doubt | None = None
    said: HubSpotResponse | None = None
    attempts: list[Attempt] = field(default_factory=list)
    batch: Batch = Batch.OPEN
    refusal: str = ""  # why the batch was refused as a whole
    seen: Limits = field(default_factory=dict)

    @property
    def refused_whole(self) -> bool:
        """Whether HubSpot refused several inputs together, and did not say which."""
        return bool(self.refusal)

    @property
    def open(self) -> list[LimitKey]:
        """The inputs without a attribution that can be believed."""
        keys = (item.key for item in self.call.inputs)
        return [k for k in keys if k not in self.attributions or self.attributions[k].result is Result.UNCONFIRMED]
