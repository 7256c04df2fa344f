"""Requests out of what the queue and EventBridge deliver."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from envelopes import attribute, from_event, from_message, sent_at, to_verify
from model.contract import ContractError
from model.outcomes import Trigger
from model.pair import Pair
from tests.support.events import attributes, load, sqs_event
from tests.support.fakes import START, envelope


def message(**given: Any) -> dict[str, Any]:
    (made,) = sqs_event({"body": envelope((3, 5)), **given})["Records"]
    return dict(made)


def test_a_messages_request_is_named_by_the_message_and_as_old_as_it() -> None:
    made = from_message(message())

    assert (made.id, made.trigger, made.outcome_id) == ("message-0", Trigger.QUEUE, None)
    assert made.requested_at == datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
    assert not made.interactive


def test_a_message_that_continues_an_outcome_is_named_by_it_whatever_its_key() -> None:
    given = message(body=envelope((3, 5), idempotencyKey="k"), messageAttributes=attributes(OutcomeId="o-7"))

    assert from_message(given).id == "o-7"


def test_a_message_of_the_sweeps_names_a_portal_and_a_pair() -> None:
    given = message(body="a pair to be verified", messageAttributes=attributes(Verify="acme#0-3#2-9"))

    assert to_verify(given) == ("acme", Pair("0-3", "2-9"))


@pytest.mark.parametrize("given", [{}, {"OutcomeId": "o-7"}, {"Verify": ""}, {"Verify": "acme"}, {"Verify": "a#b#c#d"}])
def test_any_other_message_names_none(given: dict[str, str]) -> None:
    assert to_verify(message(messageAttributes=attributes(**given))) is None


def test_a_key_names_the_request_whoever_delivers_it() -> None:
    keyed = envelope((3, 5), idempotencyKey="k")

    ids = {from_message(message(body=keyed, messageId=f"m-{n}")).id for n in range(3)}
    ids |= {from_event(keyed, f"i-{n}", START).id for n in range(3)}

    assert len(ids) == 1


@pytest.mark.parametrize("body", ["", "{", "[]", "null", json.dumps(envelope((3, 5), portal="Un known"))])
def test_a_message_that_is_no_request_is_said_to_be_none(body: str) -> None:
    with pytest.raises(ContractError):
        from_message(message(body=body))


@pytest.mark.parametrize("outcome_id", ["x" * 129, "a b", "é", "a/b"])
def test_an_outcomes_id_that_cannot_be_one_is_no_request(outcome_id: str) -> None:
    with pytest.raises(ContractError, match="id: must be 1 to 128"):
        from_message(message(messageAttributes=attributes(OutcomeId=outcome_id)))


def test_an_input_of_a_schedule_is_named_by_its_invocation() -> None:
    made = from_event(envelope((3, 5)), "i-1", START)

    assert (made.id, made.trigger, made.requested_at) == ("i-1", Trigger.SCHEDULE, START)


def test_a_rules_event_is_named_by_the_event_and_as_old_as_it() -> None:
    made = from_event(load("rule"), "i-1", START)

    assert (made.id, made.requested_at) == (load("rule")["id"], datetime(2026, 11, 23, 9, 0, tzinfo=UTC))
    assert made.trigger is Trigger.SCHEDULE


@pytest.mark.parametrize("key", ["<aws.scheduler.scheduled-time>", "x <aws.scheduler.execution-id>"])
def test_a_key_that_scheduler_did_not_fill_in_is_none(key: str) -> None:
    given = envelope((3, 5), idempotencyKey=key)

    assert from_event(given, "i-1", START).id == "i-1"
    assert given["idempotencyKey"] == key  # the event itself is left as it is


@pytest.mark.parametrize("event", [None, [], "text", 5, {}, {"detail": envelope((3, 5))}, {"detail-type": "x"}])
def test_an_event_that_is_no_request_is_said_to_be_none(event: Any) -> None:
    with pytest.raises(ContractError):
        from_event(event, "i-1", START)


@pytest.mark.parametrize(
    "change", [{"id": None}, {"time": None}, {"time": "yesterday"}, {"time": "0001-01-01T00:00:00+14:00"}, {"id": 5}]
)
def test_a_rules_event_without_its_own_id_or_time_is_no_request(change: dict[str, Any]) -> None:
    event = {name: value for name, value in {**load("rule"), **change}.items() if value is not None}

    with pytest.raises(ContractError):
        from_event(event, "i-1", START)


def test_a_message_was_sent_when_sqs_says_so() -> None:
    moment = message(attributes={"SentTimestamp": "1795424400123"})

    assert sent_at(moment) == datetime(2026, 11, 23, 9, 0, 0, 123_000, tzinfo=UTC)


@pytest.mark.parametrize(
    "given",
    [{}, {"messageAttributes": {}}, {"messageAttributes": {"A": {"binaryValue": "eA==", "dataType": "Binary"}}}],
)
def test_an_attribute_that_is_not_there_or_no_text_is_none(given: dict[str, Any]) -> None:
    assert attribute(given, "A") is None
    assert attribute({"messageAttributes": attributes(A="text")}, "A") == "text"
