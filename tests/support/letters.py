"""Dead letters, as their function gets them."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any
from unittest.mock import patch

import dead_letters
import production
from batch_create.handler import run
from model.outcomes import Outcome, Request
from tests.support.events import Context, sqs_event
from tests.support.fakes import envelope, request

ASKED = request("message-0", (3, 5), (4, 5))
BODY = json.dumps(envelope((3, 5), (4, 5)))
LETTER = sqs_event({"body": BODY})


class Killed(BaseException):
    """Ends a function where it stands."""


def receive(event: dict[str, Any]) -> list[str]:
    """The ids of the messages that the queue keeps."""
    answered = dead_letters.handler(event, Context(time_left=60_000))
    return [failure["itemIdentifier"] for failure in answered["batchItemFailures"]]


def settle(event: dict[str, Any], kills: int = dead_letters.RUNS) -> list[str]:
    """The same, once each message has killed so many functions."""
    kept = []
    for record in event["Records"]:
        with patch.object(dead_letters, "run", side_effect=Killed):
            for _ in range(kills):
                with suppress(Killed):
                    receive({"Records": [record]})
        kept += receive({"Records": [record]})
    return kept


def read(outcome_id: str = "message-0") -> Outcome:
    outcome = production.ledger().get(outcome_id)
    assert outcome is not None
    return outcome


def left_by_a_run(asked: Request = ASKED) -> Outcome:
    """The outcome after one run of the consumer."""
    (ran,) = run([asked], 30, production.production())
    return ran.outcome
