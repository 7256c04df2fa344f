"""The contended pair: its load, the environments that take it, and what of the answers counts."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import contended
from bench.checkout import HERE, Checkout
from bench.contended import INPUTS, PAIR, SOON, Measured, pair_types, requests
from bench.function import Answer, Function, function

PROGRAM = """
import json, os, sys, time
told = []
def handler(event, context):
    if event.get("fails"):
        raise ValueError("as it was told to")
    time.sleep(event.get("seconds", 0))
    told.append(event["name"])
    left = context.get_remaining_time_in_millis()
    body = {"process": os.getpid(), "parent": os.getppid(), "told": told, "left": left}
    return {"statusCode": 200, "multiValueHeaders": {"Outcome-Status": ["COMPLETE"]}, "body": json.dumps(body)}
"""
MODULE = "handles_for_a_test"


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    folder = tmp_path / "functions"
    folder.mkdir()
    (folder / f"{MODULE}.py").write_text(PROGRAM)
    return replace(HERE, root=tmp_path)


def body(answer: Answer) -> Any:
    return json.loads(answer.returned["body"])


def answered(seconds: float, status: str | None, http: int = 201) -> Answer:
    headers = {"Outcome-Status": [status]} if status else {}
    return Answer({"statusCode": http, "multiValueHeaders": headers}, seconds, 0.01)


def call(operation: str, status: int) -> dict[str, Any]:
    return {"operation": operation, "status": status}


def test_each_request_sets_some_limits_of_the_one_pair() -> None:
    known = {each.type_id for each in pair_types(PAIR)}
    made = [*requests(200)]
    inputs = [json.loads(each["body"])["inputs"] for each in made]

    assert {each["path"] for each in made} == {made[0]["path"]}
    assert {len(each) for each in inputs} == set(range(1, INPUTS + 1))
    assert {item["typeId"] for each in inputs for item in each} == known
    assert len({item["maxToObjectIds"] for each in inputs for item in each}) > 100
    assert len({each["requestContext"]["requestId"] for each in made}) == 200


def test_the_load_is_the_same_each_time() -> None:
    assert [each["body"] for each in requests(20)] == [each["body"] for each in requests(20)]


def test_only_final_answers_count_and_late_ones_apart() -> None:
    answers = [
        answered(0.2, "COMPLETE"),
        answered(SOON, "REJECTED", 400),
        answered(SOON + 0.1, "PARTIAL", 207),
        answered(0.1, "DEFERRED", 202),
        answered(0.1, None, 502),
    ]
    journal = [call("create", 200), call("create", 429), call("read", 200)]

    measured = Measured(answers, 3, journal)

    assert (measured.soon, len(measured.final)) == (2, 3)
    assert measured.median_seconds == SOON
    assert (measured.creates, measured.refused, len(measured.journal)) == (2, 1, 3)
    assert measured.cpu_ms == pytest.approx(10)


@pytest.mark.parametrize(("soon", "calls", "missed"), [(20, 10, []), (19, 11, ["soon", "calls"])])
def test_twice_as_many_answers_are_wanted_for_no_more_calls(
    soon: int, calls: int, missed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    base = replace(HERE, label="base: ")
    turns: list[str] = []

    def measured(checkout: Checkout, *_: int) -> Measured:
        turns.append(checkout.label)
        answers, made = (10, 10) if checkout is base else (soon, calls)
        return Measured([answered(0.2, "COMPLETE")] * answers, 1, [call("create", 201)] * made)

    monkeypatch.setattr(contended, "_measured", measured)

    section = contended.measure(False, base)

    names = {"final answers within 5 s, head / base": "soon", "calls of HubSpot, head / base": "calls"}
    assert [names[ratio.name] for ratio in section.missed] == missed
    assert turns == ["", "base: ", "base: ", ""]
    assert not contended.measure(True, base).missed  # it is too short to tell


def test_an_environment_handles_one_event_at_a_time_and_keeps_its_state(checkout: Checkout) -> None:
    async def scene(made: Function) -> None:
        first = await made.invoke({"name": "first"}, 0)
        second = await made.invoke({"name": "second"}, 0)
        assert body(second)["process"] == body(first)["process"]
        assert body(second)["told"] == ["first", "second"]
        assert 28_000 < body(second)["left"] <= 29_000
        assert made.most_busy == 1

    asyncio.run(_with(checkout, scene))


def test_where_all_are_busy_another_one_is_forked_that_has_handled_nothing(checkout: Checkout) -> None:
    async def scene(made: Function) -> None:
        events = [{"name": str(number), "seconds": 0.3} for number in range(3)]
        answers = await made.open_loop(events, per_second=100)
        bodies = list(map(body, answers))
        assert len({each["process"] for each in bodies}) == made.most_busy == 3
        assert len({each["parent"] for each in bodies}) == 1
        assert os.getpid() not in {each["parent"] for each in bodies}
        assert [each["told"] for each in bodies] == [["0"], ["1"], ["2"]]
        assert all(each.seconds >= 0.3 for each in answers)

    asyncio.run(_with(checkout, scene))


def test_warm_environments_have_each_handled_all_that_warms_them(checkout: Checkout) -> None:
    async def scene(made: Function) -> None:
        warmed = await made.warm_up(3, [{"name": "one"}, {"name": "two"}])
        answers = await made.open_loop([{"name": "real", "seconds": 0.3}] * 3, per_second=100)
        assert len(warmed) == 6
        assert [body(each)["told"] for each in answers] == [["one", "two", "real"]] * 3

    asyncio.run(_with(checkout, scene))


def test_a_failed_invocation_is_answered_by_api_gateway(checkout: Checkout, capfd: pytest.CaptureFixture[str]) -> None:
    async def scene(made: Function) -> None:
        failed = await made.invoke({"name": "", "fails": True}, 0)
        assert (failed.status, failed.header("Outcome-Status")) == (502, None)
        assert (await made.invoke({"name": "next"}, 0)).status == 200

    asyncio.run(_with(checkout, scene))
    assert "as it was told to" in capfd.readouterr().err


def test_a_function_that_cannot_be_imported_is_told_of(checkout: Checkout, capfd: pytest.CaptureFixture[str]) -> None:
    async def scene() -> None:
        async with function(checkout, "nosuch", 29, {}):
            raise AssertionError("it was imported")

    with pytest.raises(RuntimeError, match="could not be imported"):
        asyncio.run(scene())
    assert "nosuch" in capfd.readouterr().err


async def _with(checkout: Checkout, scene: Any) -> None:
    async with function(checkout, MODULE, 29, {}) as made:
        await scene(made)
