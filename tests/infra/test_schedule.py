"""What runs by the clock: what the files under limits/ become, and the sweep."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from aws_cdk.assertions import Template

from app import ROOT, build
from local.app import fire_soon
from local.stack import main
from model.validation import parse_envelope
from tests.infra.template import SETTINGS, Synthesised, new_app

SCHEDULE = "Schedules/Schedule-deals-to-contacts"
SWEEP = "RegularSweep/Schedule"
DISPATCH = "RegularDispatch/Schedule"


def schedules_of_requests(stack: Synthesised) -> list[dict[str, Any]]:
    return [
        schedule["Properties"]
        for path, schedule in stack.of_type("AWS::Scheduler::Schedule").items()
        if path.startswith("Schedules/")
    ]


def test_every_file_that_the_settings_name_becomes_one_schedule(stack: Synthesised, other: Synthesised) -> None:
    named = {schedule["Name"] for schedule in schedules_of_requests(stack)}

    assert named == {name.removesuffix(".yaml") for name in SETTINGS["schedules"]}
    assert not schedules_of_requests(other)


def test_a_schedule_runs_when_its_file_says(stack: Synthesised) -> None:
    file = yaml.safe_load((ROOT / "limits" / "deals-to-contacts.yaml").read_text(encoding="utf-8"))

    schedule = stack.properties("AWS::Scheduler::Schedule", SCHEDULE)

    assert schedule["ScheduleExpression"] == file["schedule"]
    assert schedule["ScheduleExpressionTimezone"] == file["timezone"]
    assert schedule["Description"] == file["description"]
    assert schedule["State"] == "DISABLED"  # the example waits for its reader to choose the number
    assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}


def test_its_input_is_the_request_of_the_file_with_a_key_of_its_own_for_each_run(stack: Synthesised) -> None:
    file = yaml.safe_load((ROOT / "limits" / "deals-to-contacts.yaml").read_text(encoding="utf-8"))

    event = json.loads(stack.properties("AWS::Scheduler::Schedule", SCHEDULE)["Target"]["Input"])

    assert event.pop("idempotencyKey") == "deals-to-contacts <aws.scheduler.scheduled-time>"
    assert parse_envelope(event) == parse_envelope(file["request"])


def test_a_run_that_cannot_be_started_is_retried_and_then_becomes_a_dead_letter(stack: Synthesised) -> None:
    target = stack.properties("AWS::Scheduler::Schedule", SCHEDULE)["Target"]

    assert target["Arn"] == "Scheduled/Function"
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 3600, "MaximumRetryAttempts": 10}
    assert target["DeadLetterConfig"] == {"Arn": "Queue/DeadLetters"}


def test_the_scheduler_may_start_that_function_and_leave_dead_letters_and_nothing_else(stack: Synthesised) -> None:
    assert stack.properties("AWS::Scheduler::Schedule", SCHEDULE)["Target"]["RoleArn"] == "Schedules/Role"
    assert stack.allowed("Schedules/Role") == {
        ("lambda:InvokeFunction", "Scheduled/Function"),
        ("sqs:SendMessage", "Queue/DeadLetters"),
    }


@pytest.mark.parametrize("construct", ["Schedules", "RegularSweep", "RegularDispatch"])
def test_only_schedules_of_its_group_in_this_account_take_a_role(stack: Synthesised, construct: str) -> None:
    (trust,) = stack.properties("AWS::IAM::Role", f"{construct}/Role")["AssumeRolePolicyDocument"]["Statement"]

    assert trust["Principal"] == {"Service": "scheduler.amazonaws.com"}
    assert trust["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "<AWS::AccountId>", "aws:SourceArn": f"{construct}/Group"}
    }


def test_the_sweep_runs_every_five_minutes_whatever_the_settings_say(stack: Synthesised, other: Synthesised) -> None:
    for of in (stack, other):
        schedule = of.properties("AWS::Scheduler::Schedule", SWEEP)
        assert schedule["ScheduleExpression"] == "rate(5 minutes)"
        assert schedule["State"] == "ENABLED"
        assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}
        assert schedule["Target"]["Arn"] == "Sweep/Function"


def test_the_dispatcher_runs_every_minute(stack: Synthesised) -> None:
    schedule = stack.properties("AWS::Scheduler::Schedule", DISPATCH)

    assert schedule["ScheduleExpression"] == "rate(1 minute)"
    assert schedule["Target"]["Arn"] == "Dispatcher/Function"
    assert schedule["Target"]["RetryPolicy"] == {"MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 0}
    assert stack.allowed("RegularDispatch/Role") == {("lambda:InvokeFunction", "Dispatcher/Function")}


def test_a_sweep_that_cannot_be_started_is_left_to_the_next(stack: Synthesised) -> None:
    target = stack.properties("AWS::Scheduler::Schedule", SWEEP)["Target"]

    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 300, "MaximumRetryAttempts": 0}
    assert "DeadLetterConfig" not in target  # who reads dead letters would take it for a request


def test_the_scheduler_may_start_the_sweep_and_nothing_else(stack: Synthesised) -> None:
    assert stack.properties("AWS::Scheduler::Schedule", SWEEP)["Target"]["RoleArn"] == "RegularSweep/Role"
    assert stack.allowed("RegularSweep/Role") == {("lambda:InvokeFunction", "Sweep/Function")}


def test_the_local_stack_lets_every_scheduled_request_run_soon_and_nothing_else(tmp_path: Path) -> None:
    app = new_app(tmp_path)
    app.node.set_context("schedule", "rate(1 minute)")
    built = build(app)

    fire_soon(built)

    schedules = Template.from_stack(built).find_resources("AWS::Scheduler::Schedule")
    assert {
        (
            schedule["Properties"].get("Name"),
            schedule["Properties"]["ScheduleExpression"],
            schedule["Properties"]["State"],
        )
        for schedule in schedules.values()
    } == {
        ("deals-to-contacts", "rate(1 minute)", "ENABLED"),
        (None, "rate(5 minutes)", "ENABLED"),
        (None, "rate(1 minute)", "ENABLED"),
    }


def test_the_local_stack_is_not_started_with_a_schedule_that_is_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["stack", "up", "--schedule", "every minute"])

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 2
    assert "must be rate(" in capsys.readouterr().err
