"""Requests made of outcomes: one that is stuck goes on as it was, one that is over is replayed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.replay import DONE, NotReplayable, continued, replay
from model.contract import Category
from model.outcomes import Doubt, InputOutcome, Outcome, Request, Result, Status, Trigger, conclude, new_outcome
from model.records import milliseconds
from tests.support.fakes import START, request

LATER = START + timedelta(days=1)
FINAL = [status for status in Status if status.final]
inputs = st.lists(
    st.builds(
        lambda category, type_id, number, result: InputOutcome(
            category=category, type_id=type_id, max_to_object_ids=number, result=result, message="words", previous=2
        ),
        st.sampled_from(Category),
        st.integers(1, 2**31 - 1),
        st.integers(1, 2**31 - 1),
        st.sampled_from([result for result in Result if result is not Result.PENDING]),
    ),
    min_size=1,
    max_size=20,
    unique_by=lambda item: item.key,
).map(tuple)


def over(results: Mapping[int, Result], status: Status | None = None, **rest: Any) -> Outcome:
    """A final outcome of the types given, each with what became of it."""
    items = tuple(
        InputOutcome(category=Category.HUBSPOT_DEFINED, type_id=t, max_to_object_ids=5, result=result)
        for t, result in results.items()
    )
    made = {"status": status or conclude(items), "inputs": items, "finished_at": START, **rest}
    return replace(new_outcome(request("o-1", (3, 5), requestedBy="me", portal="acme"), Status.QUEUED), **made)


def replayed(outcome: Outcome, *, everything: bool = False) -> Request:
    return replay(outcome, "crm", LATER, everything=everything)


def asked(made: Request) -> list[int]:
    return [item.type_id for item in made.envelope.inputs]


# --------------------------------------------------------------------------------------------------------------- replay
@given(inputs, st.booleans())
def test_a_replay_asks_for_what_was_not_applied_or_for_everything(
    items: tuple[InputOutcome, ...], everything: bool
) -> None:
    outcome = over({}, conclude(items), inputs=items)
    left = [item.asked for item in items if everything or item.result not in DONE]

    if left:
        made = replayed(outcome, everything=everything)
        assert list(made.envelope.inputs) == left
        assert (made.envelope.portal, made.envelope.from_object_type) == ("acme", "deals")
    else:
        with pytest.raises(NotReplayable, match="nothing of outcome o-1 is left to do"):
            replayed(outcome, everything=everything)


def test_what_is_so_already_or_was_replaced_later_is_not_replayed() -> None:
    each = {n: result for n, result in enumerate(Result, start=1) if result is not Result.PENDING}
    left = {n for n, result in each.items() if result in (Result.REJECTED, Result.UNCONFIRMED)}

    assert set(asked(replayed(over(each)))) == left
    assert asked(replayed(over({1: Result.APPLIED, 2: Result.PENDING}, Status.FAILED))) == [2]


def test_a_replay_is_a_new_request_that_knows_whose_it_is() -> None:
    outcome = over({3: Result.REJECTED}, api_version="2026-09", client="sales", trigger=Trigger.SCHEDULE)

    made = replayed(outcome)

    assert (made.replay_of, made.client, made.requested_at) == ("o-1", "crm", LATER)
    assert (made.trigger, made.api_version, made.envelope.requested_by) == (Trigger.WEBHOOK, "2026-09", "me")
    assert not made.interactive
    assert made.id != "o-1"


@pytest.mark.parametrize("everything", [True, False])
def test_every_replay_of_one_outcome_has_one_id_and_no_other_outcomes(everything: bool) -> None:
    outcome = over({3: Result.REJECTED, 4: Result.APPLIED})

    ids = {replay(outcome, client, now, everything=everything).id for client in "ab" for now in (START, LATER)}
    other = replayed(replace(outcome, id="o-2"))

    assert len(ids) == 1
    assert other.id not in ids
    assert replayed(outcome, everything=not everything).id not in ids  # as it asks for something else
    again = replace(new_outcome(replayed(outcome), Status.REJECTED), finished_at=START)
    assert replayed(again).id not in ids


@pytest.mark.parametrize("status", FINAL)
def test_what_was_not_proved_is_read_back_before_it_is_replayed(status: Status) -> None:
    made = replayed(over({3: Result.REJECTED}, status), everything=True)

    unproven = status in (Status.FAILED, Status.UNCONFIRMED)
    assert made.doubt == (Doubt(since=START) if unproven else None)


def test_a_replay_is_as_old_as_what_it_replays_unless_it_is_for_everything() -> None:
    outcome = over({3: Result.REJECTED})

    def age(made: Request) -> object:
        return new_outcome(made, Status.QUEUED).age

    left, whole = replayed(outcome), replayed(outcome, everything=True)
    again = replace(new_outcome(left, Status.REJECTED), finished_at=START)
    assert age(left) == age(replayed(again)) == outcome.age
    assert age(whole) == (milliseconds(LATER), whole.id)


@pytest.mark.parametrize("status", [status for status in Status if not status.final])
@pytest.mark.parametrize("everything", [True, False])
def test_what_is_not_over_cannot_be_replayed(status: Status, everything: bool) -> None:
    with pytest.raises(NotReplayable, match=f"outcome o-1 is {status}: it is still to be finished by itself"):
        replayed(over({3: Result.PENDING}, status), everything=everything)


@pytest.mark.parametrize("everything", [True, False])
def test_what_was_no_request_cannot_be_replayed(everything: bool) -> None:
    malformed = Outcome(
        id="o-1", portal="default", status=Status.REJECTED, trigger=Trigger.QUEUE, requested_at=START, received="{"
    )

    with pytest.raises(NotReplayable, match="is of a message that is no request"):
        replayed(malformed, everything=everything)


# ----------------------------------------------------------------------------------------------- what goes on as it was
@pytest.mark.parametrize("status", [Status.QUEUED, Status.RUNNING, Status.DEFERRED])
@pytest.mark.parametrize("trigger", Trigger)
def test_a_continued_request_is_the_one_that_was_asked(status: Status, trigger: Trigger) -> None:
    first = Request(
        request("o-1", (3, 5), (4, 2), requestedBy="me", portal="acme", idempotencyKey="k").envelope,
        trigger,
        "own",
        START,
        client="crm",
        api_version="2026-09",
    )
    results = (Result.APPLIED, Result.PENDING)  # of which a first run has decided one
    outcome = new_outcome(first, status)
    begun = tuple(replace(item, result=r) for item, r in zip(outcome.inputs, results, strict=True))

    made = continued(replace(outcome, inputs=begun))

    assert (made.id, made.fingerprint) == (first.id, first.fingerprint)
    assert (made.trigger, made.client, made.requested_at) == (trigger, "crm", START)
    assert (made.api_version, made.envelope.requested_by) == ("2026-09", "me")
    assert not made.interactive
