"""What the queue and EventBridge deliver, as requests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aws.sqs import OPEN, OUTCOME_ID, VERIFY
from model.contract import DEFAULT_PORTAL, ContractError, Problem
from model.object_types import object_type_id
from model.outcomes import Outcome, Request, Status, Trigger
from model.pair import Pair
from model.validation import parse_envelope, parse_json

Message = dict[str, Any]  # one of `Records` of an SQS event
BY_EVENTBRIDGE = ("RequestID", "SCHEDULE_ARN", "RULE_ARN")  # attributes of an event that was given up
# Scheduler replaces its context attributes in an input; a key in which one is left identifies nothing.
UNREPLACED = "<aws.scheduler."


def from_message(message: Message) -> Request:
    """The request in a message of the main queue. Raises ContractError."""
    return Request(
        envelope=parse_envelope(parse_json(message["body"])),
        trigger=Trigger.QUEUE,
        own_id=message["messageId"],
        requested_at=sent_at(message),
        outcome_id=attribute(message, OUTCOME_ID),
        redelivered=message["attributes"].get("ApproximateReceiveCount", "1") != "1",
    )


def to_verify(message: Message) -> tuple[str, Pair] | None:
    """The portal and the pair that the sweep asks to be read, if a message is such; the types are ids."""
    portal, *types = (attribute(message, VERIFY) or "").split("#")
    return (portal, Pair(*types)) if len(types) == 2 and all(object_type_id(each) == each for each in types) else None


def to_go_on(message: Message) -> tuple[str, str] | None:
    """The portal and the pair for which the dispatcher says that something is due, if a message is such."""
    portal, *types = (attribute(message, OPEN) or "").split("#")
    return (portal, "#".join(types)) if portal and len(types) == 2 and all(types) else None


def from_event(event: Any, invocation_id: str, now: datetime) -> Request:
    """The request in a schedule's input, or in the `detail` of a rule's event. Raises ContractError."""
    by_rule = isinstance(event, dict) and "detail-type" in event and "detail" in event
    value = event["detail"] if by_rule else event
    # Both stay the same when the event is delivered again.
    own_id, requested_at = _of_rule(event) if by_rule else (invocation_id, now)
    if isinstance(value, dict) and UNREPLACED in str(value.get("idempotencyKey", "")):
        value = {name: part for name, part in value.items() if name != "idempotencyKey"}
    return Request(envelope=parse_envelope(value), trigger=Trigger.SCHEDULE, own_id=own_id, requested_at=requested_at)


def _of_rule(event: dict[str, Any]) -> tuple[str, datetime]:
    try:
        requested_at = datetime.fromisoformat(event.get("time", ""))
        requested_at = requested_at.astimezone(UTC) if requested_at.tzinfo else requested_at.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError):
        problem = Problem("time", "must be a time in ISO 8601, as EventBridge gives each event one")
        raise ContractError([problem]) from None
    if not isinstance(event.get("id"), str):
        raise ContractError([Problem("id", "must be text, as EventBridge gives each event one")])
    return event["id"], requested_at


def unreadable(
    message: Message, status: Status, reason: str, text: str, now: datetime, portal: str = DEFAULT_PORTAL
) -> Outcome:
    """The final outcome of a message that is no request, with as much of its text as is to be kept."""
    return Outcome(
        id=message["messageId"],
        portal=portal,
        status=status,
        trigger=Trigger.SCHEDULE if is_event(message) else Trigger.QUEUE,
        requested_at=sent_at(message),
        finished_at=now,
        reason=reason,
        received=text,
    )


def is_event(message: Message) -> bool:
    """Whether a dead letter is an event that Lambda, a schedule or a rule gave up, and not a message of the queue."""
    return any(attribute(message, name) for name in BY_EVENTBRIDGE)


def sent_at(message: Message) -> datetime:
    """When a message was sent to its queue."""
    return datetime.fromtimestamp(int(message["attributes"]["SentTimestamp"]) / 1000, UTC)


def attribute(message: Message, name: str) -> str | None:
    """A message attribute's text, or None."""
    value: str | None = message.get("messageAttributes", {}).get(name, {}).get("stringValue")
    return value
