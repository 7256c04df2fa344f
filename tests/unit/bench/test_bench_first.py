"""The first request: its event, its moment, and the AWS that answers it."""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bench import fresh
from bench.aws import Services
from bench.cold import ENTRY_POINTS
from bench.first import EVENTS, HOST_OF_HUBSPOT, aged, moments_told, program

SENDS = """
import json, socket
def handler(event, context):
    print(json.dumps({"level": "INFO"}), end="")
    socket.getaddrinfo("127.0.0.1", 80)
    socket.getaddrinfo(event["host"], 443)
    raise AssertionError("it was looked up")
"""
WRITES = """
def handler(event, context):
    print(context.get_remaining_time_in_millis(), end="")
"""


def ask(services: Services, operation: str, **asked: Any) -> Any:
    status, answer, _ = services.answer(f"Any.{operation}", json.dumps(asked).encode())
    assert status == 200
    return answer


def told(services: Services) -> Any:
    return services.answer("", b"")[1]


def put(services: Services, name: str) -> None:
    ask(services, "PutItem", TableName="outcomes", Item={"id": {"S": name}})


def test_every_entry_point_has_an_event() -> None:
    assert set(EVENTS) == set(ENTRY_POINTS)


def test_the_moment_is_when_hubspot_is_about_to_be_called_and_the_process_ends_there(tmp_path: Path) -> None:
    (tmp_path / "sends.py").write_text(SENDS)

    started, moment = moments_told(fresh.said(program("sends", {"host": HOST_OF_HUBSPOT}), [tmp_path], {}))

    assert 0 < moment - started < fresh.WITHIN
    assert moment < time.perf_counter()  # of one clock for all processes


def test_who_does_not_call_hubspot_tells_when_it_began(tmp_path: Path) -> None:
    (tmp_path / "writes.py").write_text(WRITES)

    moments = moments_told(fresh.said(program("writes", {}), [tmp_path], {}))

    assert len(moments) == 1


def test_a_fresh_interpreter_has_nothing_of_this_environment(tmp_path: Path) -> None:
    assert fresh.said("import sys; print('site' in sys.modules)", [tmp_path], {}) == "False\n"


def test_what_fails_is_told_of_in_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(fresh.Failed) as raised:
        fresh.said("import nosuch", [tmp_path], {})

    assert str(raised.value).endswith("error: ModuleNotFoundError: No module named 'nosuch'")
    assert "Traceback" in capfd.readouterr().err


def test_who_told_no_moment_has_failed() -> None:
    with pytest.raises(fresh.Failed, match="told no moment"):
        moments_told("a log")


def test_an_aged_outcome_is_older_wherever_its_time_stands() -> None:
    given = "2026-11-23T09:00:00.125Z"
    item = {"id": {"S": "one"}, "requestedAt": {"S": given}, "sortKey": {"S": f"{given}#one"}}

    older = aged(item, datetime(2026, 11, 22, 7, 30, tzinfo=UTC).timestamp())

    expected = "2026-11-22T07:30:00.125Z"
    assert older == {"id": {"S": "one"}, "requestedAt": {"S": expected}, "sortKey": {"S": f"{expected}#one"}}


def test_the_first_write_is_the_first_since_a_reset() -> None:
    services = Services("any")
    put(services, "budget#1")
    ask(services, "Reset", items=[], secrets={})
    assert told(services)["firstWrite"] is None

    ask(services, "GetSecretValue", SecretId="clients")
    assert told(services)["firstWrite"] is None

    before = time.perf_counter()
    ask(services, "SendMessage", QueueUrl="queue", MessageBody="{}")
    after = time.perf_counter()
    put(services, "one")
    assert before <= told(services)["firstWrite"] <= after


def test_a_reset_begins_anew_and_tells_what_there_was() -> None:
    services = Services("any")
    put(services, "before")

    answer = ask(services, "Reset", items=[{"id": {"S": "seeded"}}], secrets={"clients": "theirs"})

    assert answer == {"items": [{"id": {"S": "before"}}]}
    found = ask(services, "GetItem", TableName="outcomes", Key={"id": {"S": "seeded"}}, ConsistentRead=True)
    assert found == {"Item": {"id": {"S": "seeded"}}}
    assert ask(services, "GetSecretValue", SecretId="clients")["SecretString"] == "theirs"
    assert ask(services, "GetSecretValue", SecretId="other")["SecretString"] == "any"


def test_this_python_is_the_one_that_is_measured() -> None:
    said = fresh.said("import sys; print(*sys.version_info[:3])", [], {})

    assert said.split() == [str(part) for part in sys.version_info[:3]]
