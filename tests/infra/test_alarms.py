"""What calls a person, and how the call gets through."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.infra.template import Synthesised

NAMESPACE = "HubSpotAssociationLimits"
SERVICE = "HubSpotAssociationLimits"  # the stack's name


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


def counted(stack: Synthesised, metric: str) -> list[dict[str, Any]]:
    """The alarms on a metric that the functions count themselves."""
    return [alarm for alarm in alarms(stack) if (alarm["Namespace"], alarm["MetricName"]) == (NAMESPACE, metric)]


def dimensions(alarm: dict[str, Any]) -> dict[str, str]:
    return {dimension["Name"]: dimension["Value"] for dimension in alarm["Dimensions"]}


def test_bad_ends_stuck_queues_errors_and_throttles_ring(stack: Synthesised) -> None:
    functions = ("Webhook", "Consumer", "Scheduled", "DeadLetters", "Sweep", "Dispatcher")

    assert watched(stack) == {
        ("OutcomeFailed", SERVICE): 0,
        ("OutcomeUnconfirmed", SERVICE): 0,
        ("OldestOpen", SERVICE): 3600,
        ("PortalMisconfigured", SERVICE): 0,
        ("ApproximateNumberOfMessagesVisible", "Queue/DeadLetters.QueueName"): 0,
        ("ApproximateNumberOfMessagesNotVisible", "Queue/DeadLetters.QueueName"): 0,
        ("ApproximateAgeOfOldestMessage", "Queue/Main.QueueName"): 3600,
        **{("Errors", f"{name}/Function"): 0 for name in functions},
        **{("Throttles", f"{name}/Function"): 0 for name in functions},
        ("5XXError", "HubSpotAssociationLimits"): 0,
    }


@pytest.mark.parametrize("metric", ["OutcomeFailed", "OutcomeUnconfirmed"])
def test_an_end_that_needs_a_person_rings_from_the_first(stack: Synthesised, metric: str) -> None:
    (alarm,) = counted(stack, metric)

    assert dimensions(alarm) == {"service": SERVICE}
    assert (alarm["Statistic"], alarm["Period"], alarm["Threshold"]) == ("Sum", 300, 0)
    assert "POST /outcomes/{id}/replay" in alarm["AlarmDescription"]


def test_one_alarm_is_for_the_portals_however_many_and_says_where_their_names_are(other: Synthesised) -> None:
    (alarm,) = counted(other, "PortalMisconfigured")

    assert dimensions(alarm) == {"service": "Another"}
    assert (alarm["Statistic"], alarm["Period"], alarm["Threshold"]) == ("Sum", 300, 0)
    assert 'The log line "portal misconfigured" names the portal' in alarm["AlarmDescription"]


def test_alarms_watch_the_namespace_and_service_that_the_functions_count_under(stack: Synthesised) -> None:
    variables = stack.properties("AWS::Lambda::Function", "Consumer/Function")["Environment"]["Variables"]

    assert variables["POWERTOOLS_METRICS_NAMESPACE"] == NAMESPACE
    assert variables["POWERTOOLS_SERVICE_NAME"] == SERVICE


def test_a_letter_that_always_comes_back_rings_and_one_that_is_just_being_settled_does_not(stack: Synthesised) -> None:
    (alarm,) = [alarm for alarm in alarms(stack) if alarm["MetricName"] == "ApproximateNumberOfMessagesNotVisible"]

    assert (alarm["Statistic"], alarm["Period"]) == ("Minimum", 300)


def test_one_breach_is_enough_for_what_fails_once_a_night(stack: Synthesised) -> None:
    assert {(alarm["EvaluationPeriods"], alarm["Period"]) for alarm in alarms(stack)} == {(1, 300)}
    assert {alarm["Statistic"] for alarm in alarms(stack)} == {"Sum", "Maximum", "Minimum"}


def test_silence_of_a_queue_changes_nothing_and_silence_of_a_function_is_well(stack: Synthesised) -> None:
    silence = {(alarm["Namespace"], alarm["TreatMissingData"]) for alarm in alarms(stack)}

    assert silence == {
        ("AWS/SQS", "ignore"),
        ("AWS/Lambda", "notBreaching"),
        ("AWS/ApiGateway", "notBreaching"),
        (NAMESPACE, "notBreaching"),
        (NAMESPACE, "ignore"),  # of a sweep that failed
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

    assert topic["KmsMasterKeyId"] == "Encryption/Key"
    assert (denied["Effect"], denied["Principal"], denied["Action"]) == ("Deny", "*", "sns:Publish")
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert (allowed["Effect"], allowed["Action"]) == ("Allow", "sns:Publish")
    assert allowed["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert allowed["Condition"]["StringEquals"] == {"aws:SourceAccount": "<AWS::AccountId>"}


def test_alarms_may_use_the_key_that_rotates(stack: Synthesised) -> None:
    key = stack.properties("AWS::KMS::Key", "Encryption/Key")
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


def graphed(stack: Synthesised) -> list[list[str]]:
    """Every metric of the dashboard: namespace, name, and dimensions by name and value."""
    (dashboard,) = stack.of_type("AWS::CloudWatch::Dashboard").values()
    body = json.loads(stack.readable(dashboard["Properties"]["DashboardBody"]))
    return [
        [part for part in metric if isinstance(part, str)]
        for widget in body["widgets"]
        for metric in widget["properties"].get("metrics", [])
    ]


def test_there_is_a_dashboard_of_the_whole(stack: Synthesised) -> None:
    (dashboard,) = stack.of_type("AWS::CloudWatch::Dashboard").values()
    body = stack.readable(dashboard["Properties"]["DashboardBody"])

    functions = ("Webhook", "Consumer", "Scheduled", "DeadLetters", "Sweep", "Dispatcher")
    for path in (*(f"{name}/Function" for name in functions), "Queue/Main", "Queue/DeadLetters", "Storage/Outcomes"):
        assert path in body


@pytest.mark.parametrize(
    "metric",
    [
        *("OutcomeComplete", "OutcomePartial", "OutcomeRejected", "OutcomeUnconfirmed", "OutcomeFailed"),
        "SweptOutcomes",
    ],
)
def test_the_dashboard_shows_how_requests_end(stack: Synthesised, metric: str) -> None:
    assert [NAMESPACE, metric, "service", SERVICE] in graphed(stack)


def test_the_dashboard_shows_how_often_portals_refuse_their_tokens(other: Synthesised) -> None:
    assert [NAMESPACE, "PortalMisconfigured", "service", "Another"] in graphed(other)
