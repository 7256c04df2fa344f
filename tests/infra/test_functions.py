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
TOKEN_ACTIONS = {
    "secretsmanager:GetSecretValue",
    "secretsmanager:PutSecretValue",
    "secretsmanager:UpdateSecretVersionStage",
}
# The ledger, the newer outcomes of a pair, and the token, which is written back where it was refreshed.
RUN = LEDGER | {
    ("dynamodb:Query", "Storage/Outcomes/index/by-pair"),
    ("dynamodb:BatchGetItem", "Storage/Outcomes"),
    *((action, "Storage/Token-default") for action in TOKEN_ACTIONS),
}
# The webhook has one request at a time, and never a batch of them.
RUN_MANY = RUN | {("dynamodb:PartiQLInsert", "Storage/Outcomes"), ("dynamodb:PartiQLUpdate", "Storage/Outcomes")}
ALLOWED = {
    "Webhook": RUN
    | {
        ("secretsmanager:GetSecretValue", "Storage/Clients"),
        ("dynamodb:Query", "Storage/Outcomes/index/by-status"),
        ("sqs:SendMessage", "Queue/Main"),
    },
    "Consumer": RUN_MANY
    | {
        ("sqs:ReceiveMessage", "Queue/Main"),
        ("sqs:DeleteMessage", "Queue/Main"),
        ("sqs:GetQueueAttributes", "Queue/Main"),
        ("sqs:ChangeMessageVisibility", "Queue/Main"),
    },
    "Scheduled": RUN_MANY
    | {
        ("sqs:SendMessage", "Queue/Main"),
        ("sqs:SendMessage", "Queue/DeadLetters"),
    },
    "DeadLetters": LEDGER
    | {
        ("sqs:ReceiveMessage", "Queue/DeadLetters"),
        ("sqs:DeleteMessage", "Queue/DeadLetters"),
        ("sqs:GetQueueAttributes", "Queue/DeadLetters"),
    },
    "Sweep": {
        ("dynamodb:Query", "Storage/Outcomes/index/by-status"),
        ("dynamodb:BatchGetItem", "Storage/Outcomes"),
        ("dynamodb:UpdateItem", "Storage/Outcomes"),
        ("sqs:SendMessage", "Queue/Main"),
    },
}
HANDLERS = {
    "Webhook": "webhook.handler",
    "Consumer": "consumer.handler",
    "Scheduled": "scheduled.handler",
    "DeadLetters": "dead_letters.handler",
    "Sweep": "sweep.handler",
}
EVERY_FUNCTION = pytest.mark.parametrize("name", ALLOWED)


def function(stack: Synthesised, name: str) -> dict[str, Any]:
    return stack.properties("AWS::Lambda::Function", f"{name}/Function")


def test_there_are_five_functions_and_none_else(stack: Synthesised) -> None:
    assert set(stack.of_type("AWS::Lambda::Function")) == {f"{name}/Function" for name in ALLOWED}


@EVERY_FUNCTION
def test_a_function_may_do_exactly_what_it_needs(stack: Synthesised, name: str) -> None:
    log = {("logs:CreateLogStream", f"{name}/Log"), ("logs:PutLogEvents", f"{name}/Log")}

    assert stack.allowed(f"{name}/Role") == TRACES | log | ALLOWED[name]


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


def test_every_portal_of_the_settings_has_a_token_that_may_be_read_and_renewed(other: Synthesised) -> None:
    secrets = {pair for pair in other.allowed("Consumer/Role") if pair[0].startswith("secretsmanager:")}

    assert secrets == {
        (action, token) for action in TOKEN_ACTIONS for token in ("Storage/Token-acme", "Storage/Token-globex")
    }


@EVERY_FUNCTION
def test_a_function_runs_the_runtime_it_is_compiled_for(stack: Synthesised, name: str) -> None:
    properties = function(stack, name)

    assert properties["Runtime"] == "python3.13"
    assert properties["Architectures"] == ["arm64"]
    assert properties["Handler"] == HANDLERS[name]
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

    groups = {*(f"{name}/Log" for name in ALLOWED), "Ingress/AccessLog", "Ingress/ExecutionLog"}
    assert days(stack) == dict.fromkeys(groups, 90)
    assert days(other) == dict.fromkeys(groups, 7)


@pytest.mark.parametrize(
    ("name", "seconds"),
    [("Webhook", 29), ("Consumer", 120), ("Scheduled", 300), ("DeadLetters", 30), ("Sweep", 300)],
)
def test_a_function_ends_before_what_waits_for_it(stack: Synthesised, name: str, seconds: int) -> None:
    assert function(stack, name)["Timeout"] == seconds


def test_a_scheduled_request_that_fails_for_good_becomes_a_dead_letter(stack: Synthesised) -> None:
    assert function(stack, "Scheduled")["DeadLetterConfig"] == {"TargetArn": "Queue/DeadLetters"}


def test_no_other_event_becomes_a_dead_letter(stack: Synthesised) -> None:
    assert [name for name in ALLOWED if "DeadLetterConfig" in function(stack, name)] == ["Scheduled"]


def test_the_settings_reach_every_function(other: Synthesised) -> None:
    shared = {
        "HUBSPOT_BASE_URL": "http://127.0.0.1:8080",
        "HUBSPOT_API_VERSIONS": "2026-09,2026-03",
        "PORTALS": "acme,globex",
        "PORTAL_TIME_ZONES": "globex=America/New_York,acme=Europe/Berlin",
        "TOKEN_SECRET_PREFIX": "another/tokens",
        "OUTCOMES_TABLE": "Storage/Outcomes",
        "OUTCOME_RETENTION_DAYS": "30",
        "BATCH_SIZE": "50",
        "QUOTA_CALLS": "190",
        "HEAD_ROOM": "0.125",
        "QUEUE_URL": "Queue/Main",
        "POWERTOOLS_SERVICE_NAME": "hubspot-association-limits",
        "POWERTOOLS_METRICS_NAMESPACE": "HubSpotAssociationLimits",
        "POWERTOOLS_LOG_LEVEL": "WARNING",
        "PYDANTIC_DISABLE_PLUGINS": "__all__",
    }

    environments = {name: dict(function(other, name)["Environment"]["Variables"]) for name in ALLOWED}

    assert environments["Webhook"].pop("CLIENTS_SECRET") == "Another/clients"
    assert environments["Webhook"].pop("PUBLIC_URL") == "https://limits.example.com/api"
    assert environments == dict.fromkeys(ALLOWED, shared)


@EVERY_FUNCTION
def test_without_time_zones_the_variable_is_there_and_empty(stack: Synthesised, name: str) -> None:
    assert function(stack, name)["Environment"]["Variables"]["PORTAL_TIME_ZONES"] == ""
