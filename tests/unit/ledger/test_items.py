"""An outcome fits DynamoDB's item whatever HubSpot says, and loses nothing that fits."""

from __future__ import annotations

import json
import random
import string
import zlib
from dataclasses import replace
from datetime import UTC
from typing import Any

import pytest
from boto3.dynamodb.types import TypeSerializer
from hypothesis import given, settings
from hypothesis import strategies as st

from api.response import readable
from aws.dynamodb import deserialise, serialise
from ledger.items import BODY_CHARACTERS, from_outcome, size, to_outcome
from ledger.ledger import Ledger
from model.contract import Category
from model.outcomes import (
    Attempt,
    Doubt,
    HubSpotResponse,
    InputOutcome,
    Outcome,
    Request,
    Result,
    Status,
    Trigger,
    Verdict,
)
from model.records import plain as as_plain
from tests.support.fakes import START, request

DYNAMODB_LIMIT = 409_600
BODY = (
    '{"status":"COMPLETE","results":[{"category":"USER_DEFINED","typeId":28,"fromObjectTypeId":"0-3",'
    '"toObjectTypeId":"0-1","maxToObjectIds":5,"userEnforcedMaxToObjectIds":5}]}'
)


def noise(characters: int) -> str:
    return "".join(random.Random(characters).choices(string.printable, k=characters))


def outcome(inputs: int, message: str | None, body: str | None, attempts: int = 0) -> Outcome:
    return Outcome(
        id="o-1",
        portal="default",
        from_object_type="deals",
        to_object_type="contacts",
        status=Status.PARTIAL,
        trigger=Trigger.QUEUE,
        requested_at=START,
        finished_at=START,
        inputs=tuple(
            InputOutcome(
                category=Category.INTEGRATOR_DEFINED,
                type_id=2**31 - 1 - n,
                max_to_object_ids=2**31 - 1,
                result=Result.UNCONFIRMED,
                message=message,
                correlation_id="c" * 36,
                superseded_by="s" * 36,
                previous=2**31 - 1,
            )
            for n in range(inputs)
        ),
        hubspot=HubSpotResponse(http_status=207, status="COMPLETE", correlation_id="c" * 36, body=body),
        attempts=(Attempt(at=START, call="create", verdict=Verdict.UNCERTAIN, message="é" * 500),) * attempts,
    )


@pytest.mark.parametrize(
    "message", [None, "m" * 50, "é" * 2000, noise(2000)], ids=["none", "short", "accents", "noise"]
)
@pytest.mark.parametrize("body", ["{}", "x" * 5_000_000, noise(900_000), "é" * 900_000], ids=["{}", "x", "noise", "é"])
def test_500_inputs_with_long_messages_fit_one_item(message: str | None, body: str) -> None:
    item = from_outcome(outcome(500, message, body, attempts=50))

    assert size(item) <= 400_000 < DYNAMODB_LIMIT
    restored = to_outcome(item)
    assert len(restored.inputs) == 500
    assert restored.hubspot is not None
    assert restored.hubspot.body is not None
    assert restored.hubspot.body == body or "[cut: " in restored.hubspot.body
    for kept in restored.inputs:
        assert kept.message == message or "[cut: " in (kept.message or "")


def test_what_fits_is_kept_word_for_word() -> None:
    whole = outcome(500, "a message of the usual length, as HubSpot writes them", noise(20_000))

    assert to_outcome(from_outcome(whole)) == whole


ids = st.none() | st.text("abc-", min_size=1, max_size=4)
texts = st.none() | st.text(max_size=8)
moments = st.datetimes(START.replace(tzinfo=None), timezones=st.just(UTC)).map(lambda at: at.replace(microsecond=0))


@given(
    st.lists(
        st.builds(
            InputOutcome,
            st.sampled_from(Category),
            st.integers(1),
            st.integers(0),
            result=st.sampled_from(Result),
            message=texts,
            correlation_id=ids,
            superseded_by=ids,
            previous=st.none() | st.integers(0),
        ),
        max_size=4,
    ),
    st.lists(
        st.builds(
            Attempt,
            at=moments,
            call=st.text(max_size=4),
            verdict=st.sampled_from(Verdict),
            http_status=st.none() | st.integers(100, 599),
            correlation_id=ids,
            message=texts,
        ),
        max_size=4,
    ),
    st.none() | st.builds(HubSpotResponse, correlation_id=ids, body=texts, http_status=st.none() | st.just(201)),
)
def test_what_is_packed_comes_back_as_it_was(
    inputs: list[InputOutcome], attempts: list[Attempt], hubspot: HubSpotResponse | None
) -> None:
    whole = replace(outcome(0, None, None), inputs=tuple(inputs), attempts=tuple(attempts), hubspot=hubspot)

    assert to_outcome(from_outcome(whole)) == whole


def test_every_word_has_a_letter_of_its_own() -> None:
    rows = [InputOutcome(each, 1, 2, result=result) for each in Category for result in Result]

    packed = json.loads(from_outcome(replace(outcome(0, None, None), inputs=tuple(rows)))["inputs"])

    assert len({(category, result) for category, _, _, result in packed}) == len(rows)


def test_what_older_versions_wrote_is_read() -> None:
    whole = outcome(2, "why", '{"status": "COMPLETE"}', attempts=2)
    item = from_outcome(whole)
    named = {"inputs": as_plain(whole.inputs), "attempts": as_plain(whole.attempts)}
    item["hubspot"]["body"] = zlib.compress(b'{"status": "COMPLETE"}')

    assert to_outcome({**item, **named}) == whole  # the first version
    assert to_outcome({**item, **{name: json.dumps(rows) for name, rows in named.items()}}) == whole  # the next


def test_the_words_that_bodies_are_compressed_with_stay() -> None:
    stored = "78bb08218e59a386a78d2c70f8da18bbaf0db1f99a80876b636b015aa137b4"
    item = from_outcome(outcome(0, None, None))
    item["hubspot"] |= {"body": bytes.fromhex(stored)}

    hubspot = to_outcome(item).hubspot

    assert hubspot is not None
    assert hubspot.body == BODY


def test_a_body_is_cut_with_a_visible_mark_only_beyond_a_million_characters() -> None:
    kept = to_outcome(from_outcome(outcome(1, None, "x" * BODY_CHARACTERS))).hubspot
    cut = to_outcome(from_outcome(outcome(1, None, "x" * (BODY_CHARACTERS + 1)))).hubspot

    assert kept is not None
    assert kept.body == "x" * BODY_CHARACTERS
    assert cut is not None
    assert (cut.body or "").endswith(f"[cut: {BODY_CHARACTERS} of {BODY_CHARACTERS + 1} characters]")


def test_dynamodb_takes_the_largest_outcome(ledger: Ledger) -> None:
    asked = request("o-1", *((2**31 - n, 2**31 - 1) for n in range(1, 501)))
    claim = ledger.claim(asked, "one", START, START)

    ledger.settle(replace(outcome(500, "é" * 2000, noise(900_000), attempts=50), id="o-1"), claim.fence)

    kept = ledger.get("o-1")
    assert kept is not None
    assert len(kept.inputs) == 500
    assert len(kept.attempts) == 50


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text() | st.binary(min_size=1),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(min_size=1), plain, max_size=5))
def test_plain_values_survive_dynamodbs_types(item: dict[str, Any]) -> None:
    assert deserialise(serialise(item)) == item


@given(st.dictionaries(st.text(min_size=1), plain, max_size=5))
def test_plain_values_are_typed_as_boto3_types_them(item: dict[str, Any]) -> None:
    assert serialise(item) == TypeSerializer().serialize(item)["M"]


@pytest.mark.parametrize("value", [0.5, {"a", "b"}, object()])
def test_what_the_ledger_never_holds_is_not_written(value: object) -> None:
    with pytest.raises(TypeError, match=f"the ledger holds no {type(value).__name__}"):
        serialise({"name": [value]})


def test_what_the_ledger_never_holds_is_not_read() -> None:
    with pytest.raises(TypeError, match="type SS"):
        deserialise({"name": {"SS": ["a", "b"]}})


@given(st.dictionaries(st.text(min_size=1), plain, max_size=5))
@settings(max_examples=50)
def test_the_size_is_never_less_than_names_and_text_take(item: dict[str, Any]) -> None:
    def text(value: object) -> int:
        if isinstance(value, dict):
            return sum(len(name.encode()) + text(part) for name, part in value.items())
        if isinstance(value, list):
            return sum(map(text, value))
        return len(value) if isinstance(value, bytes) else len(value.encode()) if isinstance(value, str) else 0

    assert size(item) >= text(item)


def test_readers_get_hubspots_body_as_the_json_it_is() -> None:
    assert readable(outcome(1, None, '{"status": "COMPLETE"}'))["hubspot"]["body"] == {"status": "COMPLETE"}
    assert readable(outcome(1, None, "<html>"))["hubspot"]["body"] == "<html>"


def test_times_are_iso_8601_in_utc_and_what_is_unknown_is_absent() -> None:
    shown = readable(outcome(1, None, None))

    assert shown["requestedAt"] == "2026-11-23T09:00:00.000Z"
    assert "reason" not in shown
    assert "body" not in shown["hubspot"]
    assert "message" not in shown["inputs"][0]


def test_what_the_next_run_must_know_is_kept_and_not_shown() -> None:
    doubt = Doubt(since=START, absent_since=START, cleared=True, in_vain=3)
    whole = replace(outcome(1, None, None), doubt=doubt, api_version="2026-09")

    assert to_outcome(from_outcome(whole)) == whole
    assert readable(whole).keys() & {"doubt", "apiVersion"} == set()


def test_the_id_of_a_request_is_its_triggers_or_follows_from_its_key() -> None:
    own, keyed = request("m-1", (3, 5)), request("m-1", (3, 5), idempotencyKey="k")

    assert own.id == "m-1"
    assert keyed.id == request("m-2", (3, 5), idempotencyKey="k").id != "m-1"
    assert keyed.id != request("m-1", (3, 5), idempotencyKey="k", portal="acme").id
    by_client = Request(keyed.envelope, Trigger.WEBHOOK, "m-1", START, client="crm")
    assert by_client.id != keyed.id
