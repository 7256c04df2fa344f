"""Whether every promise that was made to a caller is kept, once and not twice."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator

from local.hubspot.catalogue import object_type_id
from model.outcomes import Outcome, Status
from tests.faults.plan import Ask
from tests.faults.senders import Promises, Reply
from tests.faults.violation import Violation

Asked = tuple[str | None, str | None, frozenset[tuple[str, int, int]]]


def broken_promises(promises: Promises, outcomes: dict[str, Outcome]) -> Iterator[Violation]:
    """What was accepted and has no outcome, what has two, and what was answered differently the second time."""
    for outcome_id in unkept(promises, outcomes):
        asks = promises.accepted[outcome_id]
        yield Violation("lost", outcome_id, f"was accepted and has no outcome: {asks[0]}")
    for outcome_id, asks in promises.accepted.items():
        if (
            outcome_id in outcomes
            and outcomes[outcome_id].inputs
            and _asked(outcomes[outcome_id]) not in {_asked_by(ask) for ask in asks}
        ):
            yield Violation("doubled", outcome_id, f"is for something else than was asked for: {asks[0]}")
    losers = dict(_losers(promises, outcomes))
    for message_id, ask in losers.items():
        rejected = outcomes.get(message_id)
        if rejected is None or rejected.status is not Status.REJECTED:
            yield Violation("lost", message_id, f"uses a key for something else and was not refused: {ask}")
    yield from _nobody_asked(promises, outcomes, set(losers))
    yield from _other_answers(promises)


def unkept(promises: Promises, outcomes: dict[str, Outcome]) -> list[str]:
    """What was accepted and is neither in the ledger nor a dead letter in it."""
    dead = set(_dead_letters(outcomes))
    return [outcome_id for outcome_id in promises.accepted if outcome_id not in outcomes and outcome_id not in dead]


def _dead_letters(outcomes: dict[str, Outcome]) -> Iterator[str]:
    """The outcomes' ids of events that Lambda gave up. The emulator wraps such an event as for a destination, where
    Lambda sends it as it is; so it is no request to the function, which keeps its text."""
    for outcome in outcomes.values():
        if outcome.status is Status.FAILED and outcome.received and "requestPayload" in outcome.received:
            event = json.loads(outcome.received)["requestPayload"]
            envelope = event.get("detail", event)
            key = envelope.get("idempotencyKey")
            keyed = Ask(0, "schedule", ("", ""), (), key).keyed_id
            yield outcome.id
            yield keyed or event["id"]


def _losers(promises: Promises, outcomes: dict[str, Outcome]) -> Iterator[tuple[str, Ask]]:
    """Messages whose key another message has used first, for something else."""
    for message_id, ask in promises.messages.items():
        first = outcomes.get(ask.keyed_id or "")
        if first and _asked(first) != _asked_by(ask):
            yield message_id, ask


def _nobody_asked(promises: Promises, outcomes: dict[str, Outcome], losers: set[str]) -> Iterator[Violation]:
    """Only a caller over HTTP that never got an answer can have an outcome that it does not know, and only one."""
    unknown = Counter(_asked_by(ask) for ask in promises.unanswered)
    dead = set(_dead_letters(outcomes))
    for outcome in outcomes.values():
        if outcome.id in promises.accepted or outcome.id in losers or outcome.id in dead:
            continue
        if unknown[_asked(outcome)] < 1:
            yield Violation("doubled", outcome.id, "nobody asked for this outcome")
        unknown[_asked(outcome)] -= 1


def _other_answers(promises: Promises) -> Iterator[Violation]:
    """Whoever asks the same again with its key hears the same again."""
    by_key: dict[str, list[Reply]] = defaultdict(list)
    for reply in promises.replies:
        if reply.ask.key and reply.outcome_id:
            by_key[reply.ask.key].append(reply)
    for replies in by_key.values():
        first = replies[0]
        for reply in replies[1:]:
            if reply.outcome_id != first.outcome_id:
                yield Violation("doubled", str(reply.outcome_id), f"has the key of outcome {first.outcome_id}")
        final = {reply.text for reply in replies if reply.status not in (202, 502)}
        if len(final) > 1:
            yield Violation("disagreement", str(first.outcome_id), f"was answered differently: {sorted(final)}")


def _asked(outcome: Outcome) -> Asked:
    inputs = frozenset((item.category.value, item.type_id, item.max_to_object_ids) for item in outcome.inputs)
    return (*_ids(outcome.from_object_type, outcome.to_object_type), inputs)


def _asked_by(ask: Ask) -> Asked:
    return (*_ids(*ask.pair), frozenset(ask.inputs))


def _ids(from_type: str | None, to_type: str | None) -> tuple[str | None, str | None]:
    """A pair under its types' ids: the same request may come again in another spelling."""
    return object_type_id(from_type or ""), object_type_id(to_type or "")
