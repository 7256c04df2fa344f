from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest

from bench.fleet import Backlog, Mapping
from bench.quota import used
from bench.stage import OTHERS, OURS
from bench.traffic import INPUTS, PAIRS, Record, distinct_messages, fewest_calls, messages, record, types
from envelopes import from_message

SENT = 1_795_000_000.0


def message(pair: str, *type_ids: int, number: int = 0) -> Record:
    inputs = [{"category": "USER_DEFINED", "typeId": type_id, "maxToObjectIds": 1 + number} for type_id in type_ids]
    body = {"portal": "default", "fromObjectType": pair, "toObjectType": "contacts", "inputs": inputs}
    return record(body, UUID(int=number), SENT)


def test_every_message_is_a_request_that_the_service_accepts() -> None:
    for each in messages(200, SENT):
        assert len(from_message(each).envelope.inputs) == INPUTS


def test_messages_repeat_what_was_said_last_in_about_a_third_of_the_cases() -> None:
    last: dict[str, Any] = {}
    repeats = 0
    for each in messages(3_000, SENT):
        body = json.loads(each["body"])
        repeats += last.get(body["fromObjectType"]) == body["inputs"]
        last[body["fromObjectType"]] = body["inputs"]

    assert repeats / 3_000 == pytest.approx(1 / 3, abs=0.05)
    assert len(last) == PAIRS


def test_the_same_seed_makes_the_same_messages_and_each_has_an_id_of_its_own() -> None:
    assert messages(50, SENT) == messages(50, SENT)
    assert len({each["messageId"] for each in messages(50, SENT)}) == 50


def test_a_load_that_must_stay_a_load_never_asks_for_the_same_limit_twice() -> None:
    asked = [json.loads(each["body"]) for each in distinct_messages(3, SENT)]
    limits = {(body["fromObjectType"], body["inputs"][0]["typeId"]) for body in asked}

    assert len(asked) == len(limits) == len(list(types(3))) == 3 * PAIRS
    assert len({body["fromObjectType"] for body in asked[:PAIRS]}) == PAIRS


def test_the_fewest_calls_are_one_for_each_batch_of_distinct_limits_of_a_pair() -> None:
    batch = [message("2-1", 1, 2), message("2-1", 2, 3), message("2-2", 1)]

    assert fewest_calls([batch], batch_size=100) == 2
    assert fewest_calls([batch], batch_size=2) == 3  # three limits of 2-1 take two calls
    assert fewest_calls([batch[:1], batch[1:]], batch_size=100) == 3  # what is not delivered together is not folded


def test_a_backlog_hands_out_full_batches_and_brings_back_what_failed() -> None:
    records = [message("2-1", 1, number=number) for number in range(5)]
    backlog = Backlog(records, Mapping(3, 0), until=float("inf"))

    first = backlog.take()
    backlog.done(first, {first[0]["messageId"]: 0.0})
    second = backlog.take()
    backlog.done(second, {})

    assert first == records[:3]
    assert second == [records[3], records[4], records[0]]
    assert backlog.take() == []


def entry(second: float, token: str = OURS, status: int = 201) -> dict[str, Any]:
    return {"time": f"2026-11-23T09:00:{second:06.3f}Z", "tokenName": token, "status": status}


def test_the_quota_that_is_used_is_counted_from_our_first_call_on() -> None:
    journal = [
        entry(0, OTHERS),  # before ours: of no window that is measured
        entry(1),
        entry(2, status=429),
        entry(3, OTHERS),
        entry(4, OTHERS, 429),
        entry(10.999),
        entry(11),  # the measured seconds are over
    ]

    found = used(journal, quota=100, seconds=10)

    assert (found.ours, found.refused, found.others, found.others_refused) == (2, 1, 1, 1)
    assert (found.allowed, found.left) == (100, 99)
