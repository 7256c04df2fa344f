"""Outcomes as requests again: one that is stuck is continued, and one that is final is replayed. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime

from model.contract import Envelope
from model.outcomes import Doubt, InputOutcome, Outcome, Request, Result, Status, Trigger

# What a replay leaves out unless it is for everything: it is set already, or was replaced later.
DONE = (Result.APPLIED, Result.UNCHANGED, Result.SUPERSEDED)


class NotReplayable(Exception):
    """An outcome that cannot be replayed; the message says why and what can be done."""


def continued(outcome: Outcome) -> Request:
    """The request of an outcome that is not final, to be handed to the queue once more under the same outcome."""
    return Request(
        envelope=_envelope(outcome, outcome.inputs),
        trigger=outcome.trigger,
        own_id=outcome.id,
        requested_at=outcome.requested_at,
        client=outcome.client,
        outcome_id=outcome.id,
        api_version=outcome.api_version,
    )


def replay(outcome: Outcome, client: str, now: datetime, *, everything: bool) -> Request:
    """A new request for those inputs of an outcome that were not applied, which is as old as the outcome's: what was
    asked for since stays. Or one for `everything`, which is as young as any other that is made now. Its id follows from
    the outcome's, so that to ask twice replays once. Raises NotReplayable."""
    if not outcome.status.final:
        raise NotReplayable(f"outcome {outcome.id} is {outcome.status}: it is still to be finished by itself")
    if not outcome.inputs:
        raise NotReplayable(f"outcome {outcome.id} is of a message that is no request; send a corrected one")
    inputs = [item for item in outcome.inputs if everything or item.result not in DONE]
    if not inputs:
        raise NotReplayable(f"nothing of outcome {outcome.id} is left to do; with ?all=true all of it is sent again")
    unproven = outcome.status in (Status.FAILED, Status.UNCONFIRMED)
    identity = ["replay", outcome.id, "all"] if everything else ["replay", outcome.id]
    moment, age_id = outcome.age
    return Request(
        envelope=_envelope(outcome, inputs),
        trigger=Trigger.WEBHOOK,
        own_id=hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:32],
        requested_at=now,
        client=client,
        api_version=outcome.api_version,
        replay_of=outcome.id,
        ordered_as=None if everything else f"{moment}#{age_id}",
        doubt=Doubt(since=outcome.finished_at or now) if unproven else None,
    )


def _envelope(outcome: Outcome, inputs: Sequence[InputOutcome]) -> Envelope:
    return Envelope(
        outcome.portal,
        outcome.from_object_type or "",
        outcome.to_object_type or "",
        tuple(item.asked for item in inputs),
        requested_by=outcome.requested_by,
    )
