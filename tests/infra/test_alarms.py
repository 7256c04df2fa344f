"""What calls a person, and how the call gets through."""

from __future__ import annotations

from typing import Any

from tests.infra.template import Synthesised


def alarms(stack: Synthesised) -> list[dict[str, Any]]:
    paths = stack.of_type("AWS::CloudWatch::Alarm")
    return [stack.properties("AWS::CloudWatch::Alarm", path) for path in paths]


def watched(stack: Synthesised) -> dict[tuple[str, str], float]:
    """(metric, of what) and the threshold above which it rings."""
    rings: dict[tuple[str, str], float] = {}
    for alarm in alarms(stack):
        assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
        rings[alarm["MetricName"], alarm["Dimensions"][0]["Value"]] = alarm["Threshold"]
    return rings


def test_dead_letters_old_messages_errors_and_throttles_ring(stack: Synthesised) -> None:
    assert watched(stack) == {
        ("ApproximateNumberOfMessagesVisible", "Queue/DeadLetters.QueueName"): 0,
        ("ApproximateAgeOfOldestMessage", "Queue/Main.QueueName"): 3600,
        ("Errors", "Webhook/Function"): 0,
        ("Errors", "Consumer/Function"): 0,
        ("Errors", "Scheduled/Function"): 0,
        ("Throttles", "Webhook/Function"): 0,
        ("Throttles", "Consumer/Function"): 0,
        ("Throttles", "Scheduled/Function"): 0,
        ("5XXError", "HubSpotAssociationLimits"): 0,
    }


def test_one_breach_is_enough_for_what_fails_once_a_night(stack: Synthesised) -> None:
    assert {(alarm["EvaluationPeriods"], alarm["Period"]) for alarm in alarms(stack)} == {(1, 300)}
    assert {alarm["Statistic"] for alarm in alarms(stack)} == {"Sum", "Maximum"}


def test_silence_of_a_queue_changes_nothing_and_silence_of_a_function_is_well(stack: Synthesised) -> None:
    silence = {(alarm["Namespace"], alarm["TreatMissingData"]) for alarm in alarms(stack)}

    assert silence == {
        ("AWS/SQS", "ignore"),
        ("AWS/Lambda", "notBreaching"),
        ("AWS/ApiGateway", "notBreaching"),
    }


def test_every_alarm_and_its_end_goes_to_the_topic(stack: Synthesised) -> None:
    for alarm in alarms(stack):
        assert alarm["AlarmDescription"]
        assert alarm["AlarmActions"] == alarm["OKActions"] == ["Alarms/Topic"]


def test_the_topic_is_encrypted_and_takes_messages_only_by_tls_and_only_from_alarms_of_this_account(
    stack: Synthesised,
) -> None:
    topic = stack.properties("AWS::SNS::Topic", "Alarms/Topic")
    policy = stack.properties("AWS::SNS::TopicPolicy", "Alarms/Topic/Policy")["PolicyDocument"]["Statement"]
    denied, allowed = sorted(policy, key=lambda statement: str(statement["Effect"]), reverse=True)

    assert topic["KmsMasterKeyId"] == "Alarms/Key"
    assert (denied["Effect"], denied["Principal"], denied["Action"]) == ("Deny", "*", "sns:Publish")
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert (allowed["Effect"], allowed["Action"]) == ("Allow", "sns:Publish")
    assert allowed["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert allowed["Condition"]["StringEquals"] == {"aws:SourceAccount": "<AWS::AccountId>"}


def test_alarms_may_use_the_key_that_rotates(stack: Synthesised) -> None:
    key = stack.properties("AWS::KMS::Key", "Alarms/Key")
    (for_alarms,) = [
        statement
        for statement in key["KeyPolicy"]["Statement"]
        if statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    ]

    assert key["EnableKeyRotation"] is True
    assert set(for_alarms["Action"]) == {"kms:Decrypt", "kms:GenerateDataKey"}
    assert for_alarms["Condition"] == {"StringEquals": {"aws:SourceAccount": "<AWS::AccountId>"}}


def test_a_mail_is_sent_where_the_settings_name_an_address(stack: Synthesised, other: Synthesised) -> None:
    assert not stack.of_type("AWS::SNS::Subscription")
    (subscription,) = other.of_type("AWS::SNS::Subscription").values()
    assert subscription["Properties"]["Protocol"] == "email"
    assert subscription["Properties"]["Endpoint"] == "ops@example.com"


def test_there_is_a_dashboard_of_the_whole(stack: Synthesised) -> None:
    (dashboard,) = stack.of_type("AWS::CloudWatch::Dashboard").values()
    body = stack.readable(dashboard["Properties"]["DashboardBody"])

    for path in ("Webhook/Function", "Consumer/Function", "Scheduled/Function", "Queue/Main", "Storage/Outcomes"):
        assert path in body
