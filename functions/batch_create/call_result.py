"""What one call to HubSpot came to."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING

from model.hubspot_answer import json_object
from model.outcomes import Result

if TYPE_CHECKING:
    from batch_create.attribution import Attribution
    from batch_create.plan import Call
    from model.contract import LimitKey
    from model.errors import HubSpotFailure
    from model.outcomes import Attempt, Doubt, HubSpotResponse

Limits = dict["LimitKey", int | None]
FAILED = (Result.REJECTED, Result.UNCONFIRMED)
ANSWERS = (200, 201, 207)  # to a batch create; any other 2xx is answered in our words, as a 202 means something here


class Batch(Enum):
    """What HubSpot made of a batch as a whole."""

    ACCEPTED = "accepted"  # each input has an answer, or waits
    REFUSED = "refused"
    OPEN = "open"


@dataclass
class CallResult:
    """What a call came to: what became of each input it decided and, for the others, why they must wait.

    With neither, it decided nothing by itself: its inputs follow in the results of other calls. `doubt` is about
    those that were sent and are not decided.
    """

    call: Call
    attributions: dict[LimitKey, Attribution] = field(default_factory=dict)
    deferral: HubSpotFailure | None = None
    doubt: Doubt | None = None
    response: HubSpotResponse | None = None
    attempts: list[Attempt] = field(default_factory=list)
    batch: Batch = Batch.OPEN
    refusal: str = ""  # why the batch was refused as a whole
    errors: int = 0  # that HubSpot's answer holds
    seen: Limits = field(default_factory=dict)

    @property
    def refused_whole(self) -> bool:
        """Whether HubSpot refused several inputs together, and did not say which."""
        return bool(self.refusal)

    @property
    def open(self) -> list[LimitKey]:
        """The inputs of which nothing is known that can be believed."""
        keys = (item.key for item in self.call.inputs)
        return [k for k in keys if k not in self.attributions or self.attributions[k].result is Result.UNCONFIRMED]

    @cached_property
    def conclusive(self) -> bool:
        """Whether HubSpot's own words say what became of each of the call's inputs: each echo and each error is true."""
        results = [self.attributions[item.key].result for item in self.call.inputs if item.key in self.attributions]
        if self.response is None or len(results) < len(self.call.inputs) or json_object(self.response.body) is None:
            return False
        if self.batch is Batch.ACCEPTED:
            told = self.errors > 0 or not any(result in FAILED for result in results)
            return told and Result.UNCHANGED not in results and self.response.http_status in ANSWERS
        return all(result is Result.REJECTED for result in results)
