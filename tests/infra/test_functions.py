"""Each function: what it may do, and how it runs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.infra.template import Synthesised

TRACES = {("xray:PutTraceSegments", "*"), ("xray:PutTelemetryRecords", "*")}
LEDGER = {
    ("dynamodb:GetItem", "Storage/Outcomes"),
    ("dynamodb:PutItem", "Storage/Outcomes"),
    ("dynamodb:UpdateItem", "Storage/Outcomes"),
}
TOKEN = {("secretsmanager:GetSecretValue", "Storage/Token-default")}
ALLOWED = {
    "Webhook": {
        ("secretsmanager:GetSecretValue", "Storage/Clients"),
        ("dynamodb:Query", "Storage/Outcomes/index/by-pair"),
        ("dynamodb:Query", "Storage/Outcomes/index/by-status"),
        ("dynamodb:BatchGetItem", "Storage/Outcomes"),
        ("sqs:SendMessage", "Queue/Main"),
    },
    "Consumer": {
        ("sqs:ReceiveMessage", "Queue/Main"),
        ("sqs:DeleteMessage", "Queue/Main"),
        ("sqs:GetQueueAttributes", "Queue/Main"),
        ("sqs:ChangeMessageVisibility", "Queue/Main"),
    },
    "Scheduled": {
        ("sqs:SendMessage", "Queue/Main"),
        ("sqs:SendMessage", "Queue/DeadLetters"),
    },
}
EVERY_FUNCTION = pytest.mark.parametrize("name", ALLOWED)


def function(stack: Synthesised, name: str) -> dict[str, Any]:
    return stack.properties("AWS::Lambda::Function", f"{name}/Function")


def test_there_are_three_functions_and_none_else(stack: Synthesised) -> None:
    assert set(stack.of_type("AWS::Lambda::Function")) == {f"{name}/Function" for name in ALLOWED}


@EVERY_FUNCTION
def test_a_function_may_do_exactly_what_it_needs(stack: Synthesised, name: str) -> None:
    log = {("logs:CreateLogStream", f"{name}/Log"), ("logs:PutLogEvents", f"{name}/Log")}

    assert stack.allowed(f"{name}/Role") == TRACES | LEDGER | TOKEN | log | ALLOWED[name]


@EVERY_FUNCTION
def test_a_function_has_a_role_of_its_own_that_only_lambda_takes(stack: Synthesised, name: str) -> None:
    role = stack.properties("AWS::IAM::Role", f"{name}/Role")

    assert function(stack, name)["Role"] == f"{name}/Role"
    assert "ManagedPolicyArns" not in role
    assert [statement["Principal"] for statement in role["AssumeRolePolicyDocument"]["Statement"]] == [
        {"Service": "lambda.amazonaws.com"}
    ]


def test_no_policy_stands_outside_the_roles(stack: Synthesised) -> None:
    assert not stack.of_type("AWS::IAM::Policy")
    assert not stack.of_type("AWS::IAM::ManagedPolicy")


def test_every_portal_of_the_settings_has_a_token_that_may_be_read(other: Synthesised) -> None:
    readable = {resource for action, resource in other.allowed("Consumer/Role") if action.startswith("secrets")}

    assert readable == {"Storage/Token-acme", "Storage/Token-globex"}


@EVERY_FUNCTION
def test_a_function_runs_the_runtime_it_is_compiled_for(stack: Synthesised, name: str) -> None:
    properties = function(stack, name)

    assert properties["Runtime"] == "python3.13"
    assert properties["Architectures"] == ["arm64"]
    assert properties["Handler"] == f"{name.lower()}.handler"
    assert properties["MemorySize"] == 512
    assert properties["Layers"] == ["Dependencies"]
    assert properties["TracingConfig"] == {"Mode": "Active"}


def test_the_dependency_layer_is_for_that_runtime(stack: Synthesised, other: Synthesised) -> None:
    layer = stack.properties("AWS::Lambda::LayerVersion", "Dependencies")

    assert layer["CompatibleRuntimes"] == ["python3.13"]
    assert layer["CompatibleArchitectures"] == ["arm64"]
    assert other.properties("AWS::Lambda::LayerVersion", "Dependencies")["CompatibleArchitectures"] == ["x86_64"]


@EVERY_FUNCTION
def test_a_function_logs_json_into_a_group_of_its_own(stack: Synthesised, other: Synthesised, name: str) -> None:
    def logging(of: Synthesised) -> dict[str, str]:
        logging: dict[str, str] = function(of, name)["LoggingConfig"]
        return logging

    assert logging(stack) == {"ApplicationLogLevel": "INFO", "LogFormat": "JSON", "LogGroup": f"{name}/Log"}
    assert logging(other)["ApplicationLogLevel"] == "WARN"


def test_every_log_group_ends_when_the_settings_say(stack: Synthesised, other: Synthesised) -> None:
    def days(of: Synthesised) -> dict[str, int]:
        return {path: log["Properties"]["RetentionInDays"] for path, log in of.of_type("AWS::Logs::LogGroup").items()}

    groups = {"Webhook/Log", "Consumer/Log", "Scheduled/Log", "Ingress/AccessLog", "Ingress/ExecutionLog"}
    assert days(stack) == dict.fromkeys(groups, 90)
    assert days(other) == dict.fromkeys(groups, 7)


@pytest.mark.parametrize(("name", "seconds"), [("Webhook", 29), ("Consumer", 60), ("Scheduled", 300)])
def test_a_function_ends_before_what_waits_for_it(stack: Synthesised, name: str, seconds: int) -> None:
    assert function(stack, name)["Timeout"] == seconds


def test_a_scheduled_request_that_fails_for_good_becomes_a_dead_letter(stack: Synthesised) -> None:
    assert function(stack, "Scheduled")["DeadLetterConfig"] == {"TargetArn": "Queue/DeadLetters"}


def test_the_settings_reach_every_function(other: Synthesised) -> None:
    shared = {
        "HUBSPOT_BASE_URL": "http://127.0.0.1:8080",
        "HUBSPOT_API_VERSIONS": "2026-09,2026-03",
        "PORTALS": "acme,globex",
        "TOKEN_SECRET_PREFIX": "another/tokens",
        "OUTCOMES_TABLE": "Storage/Outcomes",
        "OUTCOME_RETENTION_DAYS": "30",
        "BATCH_SIZE": "50",
        "QUEUE_URL": "Queue/Main",
        "POWERTOOLS_SERVICE_NAME": "hubspot-association-limits",
        "POWERTOOLS_METRICS_NAMESPACE": "HubSpotAssociationLimits",
        "POWERTOOLS_LOG_LEVEL": "WARNING",
    }

    environments = {name: dict(function(other, name)["Environment"]["Variables"]) for name in ALLOWED}

    assert environments["Webhook"].pop("CLIENTS_SECRET") == "Another/clients"
    assert environments == dict.fromkeys(ALLOWED, shared)
