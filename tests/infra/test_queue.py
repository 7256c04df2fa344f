"""The queue, its dead letters and the way from one to the other."""

from __future__ import annotations

from typing import Any

import pytest

from tests.infra.template import Synthesised

FORTNIGHT = 14 * 24 * 3600
BOTH = pytest.mark.parametrize("path", ["Queue/Main", "Queue/DeadLetters"])


def queue(stack: Synthesised, path: str) -> dict[str, Any]:
    return stack.properties("AWS::SQS::Queue", path)


def mapping(stack: Synthesised, path: str = "Queue/Mapping") -> dict[str, Any]:
    return stack.properties("AWS::Lambda::EventSourceMapping", path)


def test_a_message_stays_hidden_for_six_timeouts_of_the_consumer_and_the_batch_window(
    stack: Synthesised, other: Synthesised
) -> None:
    assert queue(stack, "Queue/Main")["VisibilityTimeout"] == 6 * 120 + 5
    assert queue(other, "Queue/Main")["VisibilityTimeout"] == 6 * 90


def test_a_dead_letter_stays_hidden_for_six_timeouts_of_the_function_that_runs_it(stack: Synthesised) -> None:
    timeout = stack.properties("AWS::Lambda::Function", "DeadLetters/Function")["Timeout"]

    assert queue(stack, "Queue/DeadLetters")["VisibilityTimeout"] == 6 * timeout == 720


@BOTH
def test_a_queue_is_encrypted_and_refuses_plain_http_and_other_accounts(stack: Synthesised, path: str) -> None:
    policy = stack.properties("AWS::SQS::QueuePolicy", f"{path}/Policy")

    assert queue(stack, path)["SqsManagedSseEnabled"] is True
    assert policy["Queues"] == [path]
    statements = [each for each in policy["PolicyDocument"]["Statement"] if each.get("Sid") != "Moves"]
    for statement in statements:
        assert (statement["Effect"], statement["Action"], statement["Principal"]) == ("Deny", "sqs:*", {"AWS": "*"})
        assert statement["Resource"] == path
    assert [statement["Condition"] for statement in statements] == [
        {"Bool": {"aws:SecureTransport": "false"}},
        # Services of AWS have no account: whoever lets one in names it.
        {
            "StringNotEquals": {"aws:PrincipalAccount": "<AWS::AccountId>"},
            "Bool": {"aws:PrincipalIsAWSService": "false"},
        },
    ]


def test_nobody_may_move_dead_letters_back(stack: Synthesised) -> None:
    # A moved message is a new one: its request would be taken for younger than those that were made since.
    statements = stack.properties("AWS::SQS::QueuePolicy", "Queue/DeadLetters/Policy")["PolicyDocument"]["Statement"]

    assert {
        "Sid": "Moves",
        "Effect": "Deny",
        "Principal": {"AWS": "*"},
        "Action": "sqs:StartMessageMoveTask",
        "Resource": "Queue/DeadLetters",
    } in statements


@BOTH
def test_a_queue_keeps_messages_for_a_fortnight(stack: Synthesised, path: str) -> None:
    assert queue(stack, path)["MessageRetentionPeriod"] == FORTNIGHT


def test_what_was_received_too_often_becomes_a_dead_letter(stack: Synthesised, other: Synthesised) -> None:
    assert queue(stack, "Queue/Main")["RedrivePolicy"] == {
        "deadLetterTargetArn": "Queue/DeadLetters",
        "maxReceiveCount": 50,
    }
    assert queue(other, "Queue/Main")["RedrivePolicy"]["maxReceiveCount"] == 3


def test_only_the_main_queue_may_use_the_dead_letter_queue(stack: Synthesised) -> None:
    name = queue(stack, "Queue/Main")["QueueName"]

    allowed = queue(stack, "Queue/DeadLetters")["RedriveAllowPolicy"]

    assert allowed["redrivePermission"] == "byQueue"
    assert [arn.rpartition(":")[2] for arn in allowed["sourceQueueArns"]] == [name]


def test_the_consumer_acknowledges_each_message_by_itself(stack: Synthesised) -> None:
    properties = mapping(stack)

    assert properties["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert properties["EventSourceArn"] == "Queue/Main"
    assert properties["FunctionName"] == "Consumer/Function"
    assert properties["BatchSize"] == 1_000
    assert properties["MaximumBatchingWindowInSeconds"] == 5
    assert properties["ScalingConfig"] == {"MaximumConcurrency": 5}


def test_the_settings_size_the_batches(other: Synthesised) -> None:
    properties = mapping(other)

    assert properties["BatchSize"] == 10
    assert "MaximumBatchingWindowInSeconds" not in properties
    assert properties["ScalingConfig"] == {"MaximumConcurrency": 2}


def test_a_dead_letter_is_run_alone_and_acknowledged_by_itself(stack: Synthesised, other: Synthesised) -> None:
    for of in (stack, other):
        assert mapping(of, "Queue/DeadLettersMapping") == {
            "BatchSize": 1,
            "EventSourceArn": "Queue/DeadLetters",
            "ScalingConfig": {"MaximumConcurrency": 2},
            "FunctionName": "DeadLetters/Function",
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
        }


def test_nothing_else_drains_a_queue(stack: Synthesised) -> None:
    assert set(stack.of_type("AWS::Lambda::EventSourceMapping")) == {"Queue/Mapping", "Queue/DeadLettersMapping"}
