"""The result of one call to HubSpot."""

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
NEVER_SAID = {Result.UNCHANGED, Result.UNCONFIRMED}  # by a row or an error of a batch that was accepted
ANSWERS = (200, 201, 207)  # to a batch create; any other 2xx is answered in our words, as a 202 means something here


class Batch(Enum):
    """How HubSpot answered a batch as a whole."""

    ACCEPTED = "accepted"  # each input has an answer, or waits
    REFUSED = "refused"
    OPEN = "open"


@dataclass
class CallResult:
    """What each input that the call decided came to, and why the others must wait.

    A result with neither leaves its inputs to the results of other calls. `doubt` is about inputs that were sent and
    are not decided.
    """

    call: Call
    attributions: dict[LimitKey, Attribution] = field(default_factory=dict)
    deferral: HubSpotFailure | None = None
    doubt: Doubt | None = None
    response: HubSpotResponse | None = None
    attempts: list[Attempt] = field(default_factory=list)
    batch: Batch = Batch.OPEN
    refusal: str = ""  # why several inputs were refused together, without saying which
    errors: int = 0  # in HubSpot's answer
    read: Limits = field(default_factory=dict)  # what the last reading showed

    @property
    def open(self) -> list[LimitKey]:
        """The inputs about which nothing reliable is known."""
        keys = (item.key for item in self.call.inputs)
        return [k for k in keys if k not in self.attributions or self.attributions[k].result is Result.UNCONFIRMED]

    @cached_property  # as each request of the call asks
    def conclusive(self) -> bool:
        """Whether HubSpot's own answer accounts for each of the call's inputs, with every echo and error in it true."""
        known = [self.attributions[item.key] for item in self.call.inputs if item.key in self.attributions]
        results = [attribution.result for attribution in known]
        if self.response is None or len(results) < len(self.call.inputs):
            return False
        if any(attribution.instead is not None for attribution in known):
            return False  # refused after a send in doubt, which may have set it all the same
        if self.batch is Batch.ACCEPTED:
            explained = self.errors > 0 or Result.REJECTED not in results
            return explained and NEVER_SAID.isdisjoint(results) and self.response.http_status in ANSWERS
        # An accepted batch's body has been read as JSON; a refusal's can be a page of HTML.
        return json_object(self.response.body) is not None and all(result is Result.REJECTED for result in results)
