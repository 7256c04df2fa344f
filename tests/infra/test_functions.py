"""Each function: what it may do, which docs/security.md says, and how it runs."""

from __future__ import annotations

import re
from typing import Any

import pytest

from app import ROOT
from tests.infra.template import Synthesised

HANDLERS = {
    "Webhook": "webhook.handler",
    "Consumer": "consumer.handler",
    "Scheduled": "scheduled.handler",
    "DeadLetters": "dead_letters.handler",
    "Sweep": "sweep.handler",
    "Dispatcher": "dispatcher.handler",
}
TOKENS = "arn:<AWS::Partition>:secretsmanager:<AWS::Region>:<AWS::AccountId>:secret:{}/*"
EVERY_FUNCTION = pytest.mark.parametrize("name", HANDLERS)


def function(stack: Synthesised, name: str) -> dict[str, Any]:
    return stack.properties("AWS::Lambda::Function", f"{name}/Function")


def prefix(stack: Synthesised) -> str:
    return str(function(stack, "Consumer")["Environment"]["Variables"]["TOKEN_SECRET_PREFIX"])


def documented(stack: Synthesised, name: str, lead: str = "## What each function may do") -> set[tuple[str, str]]:
    """Every (action, resource) that docs/security.md gives a function, in the first table after the line `lead`."""
    resources = {
        "X-Ray": ["*"],
        "own log group": [f"{name}/Log"],
        "outcomes": ["Storage/Outcomes"],
        "outcomes by pair": ["Storage/Outcomes/index/by-pair"],
        "access tokens": ["Storage/AccessTokens"],
        "outcomes by due time": ["Storage/Outcomes/index/by-due"],
        "outcomes by status": ["Storage/Outcomes/index/by-status"],
        "tokens": [TOKENS.format(prefix(stack))],
        "clients": ["Storage/Clients"],
        "key": ["Encryption/Key"],
        "queue": ["Queue/Main"],
        "dead letters": ["Queue/DeadLetters"],
    }
    rows = table(lead)
    entry_points = {handler.removesuffix(".handler"): each for each, handler in HANDLERS.items()}
    assert {function for function, _, _ in rows} <= {"each", *entry_points}
    pairs = [
        (action, path)
        for function, resource, actions in rows
        if function == "each" or entry_points[function] == name
        for action in actions
        for path in resources[resource]
    ]
    assert len(pairs) == len(set(pairs)), "something is written twice"
    return set(pairs)


def table(lead: str) -> list[tuple[str, str, list[str]]]:
    """Function, resource and actions in each row of a table in docs/security.md. `sqs: A, B` are two actions."""
    text = (ROOT / "docs/security.md").read_text(encoding="utf-8")
    found = re.search(rf"^{re.escape(lead)}\n(?:[^|\n].*\n|\n)*((?:\|.*\n)+)", text, re.MULTILINE)
    assert found, f"docs/security.md has no table after {lead!r}"
    header, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in found[1].splitlines()]
    assert header == ["function", "resource", "actions"]
    parsed = []
    for function, resource, actions in rows:
        service, names = actions.split(": ")
        parsed.append((function, resource, [f"{service}:{name}" for name in names.split(", ")]))
    return parsed


def test_there_are_six_functions_and_none_else(stack: Synthesised) -> None:
    assert set(stack.of_type("AWS::Lambda::Function")) == {f"{name}/Function" for name in HANDLERS}


@EVERY_FUNCTION
def test_a_function_may_do_exactly_what_is_documented(stack: Synthesised, other: Synthesised, name: str) -> None:
    with_a_key = documented(other, name, "With `customerManagedKey`, each may also:")

    assert stack.allowed(f"{name}/Role") == documented(stack, name)
    assert other.allowed(f"{name}/Role") == documented(other, name) | with_a_key


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


@pytest.mark.parametrize("name", ["Consumer", "DeadLetters", "Scheduled", "Webhook"])
def test_every_token_below_the_prefix_may_be_read_and_renewed_and_no_other_secret(
    other: Synthesised, name: str
) -> None:
    secrets = {pair for pair in other.allowed(f"{name}/Role") if pair[0].startswith("secretsmanager:")}
    actions = ("GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage")
    below = TOKENS.format("another/tokens")
    clients = {("secretsmanager:GetSecretValue", "Storage/Clients")} if name == "Webhook" else set()

    assert secrets == {(f"secretsmanager:{action}", below) for action in actions} | clients


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

    groups = {*(f"{name}/Log" for name in HANDLERS), "Ingress/AccessLog", "Ingress/ExecutionLog"}
    assert days(stack) == dict.fromkeys(groups, 90)
    assert days(other) == dict.fromkeys(groups, 7)


@pytest.mark.parametrize(
    ("name", "seconds"),
    [("Webhook", 29), ("Consumer", 120), ("Scheduled", 300), ("DeadLetters", 120), ("Sweep", 300), ("Dispatcher", 55)],
)
def test_a_function_ends_before_what_waits_for_it(stack: Synthesised, name: str, seconds: int) -> None:
    assert function(stack, name)["Timeout"] == seconds


def test_a_scheduled_request_that_fails_for_good_becomes_a_dead_letter(stack: Synthesised) -> None:
    assert function(stack, "Scheduled")["DeadLetterConfig"] == {"TargetArn": "Queue/DeadLetters"}


def test_no_other_event_becomes_a_dead_letter(stack: Synthesised) -> None:
    assert [name for name in HANDLERS if "DeadLetterConfig" in function(stack, name)] == ["Scheduled"]


def test_the_settings_reach_every_function(other: Synthesised) -> None:
    shared = {
        "HUBSPOT_BASE_URL": "http://127.0.0.1:8080",
        "HUBSPOT_API_VERSIONS": "2026-09,2026-03",
        "PORTALS": "acme,globex",
        "PORTAL_TIME_ZONES": "globex=America/New_York,acme=Europe/Berlin",
        "TOKEN_SECRET_PREFIX": "another/tokens",
        "OUTCOMES_TABLE": "Storage/Outcomes",
        "ACCESS_TOKENS_TABLE": "Storage/AccessTokens",
        "OUTCOME_RETENTION_DAYS": "30",
        "READ_LAG_SECONDS": "60",
        "GIVE_UP_AFTER_HOURS": "48",
        "MISSING_SECRET_HOURS": "72",
        "BATCH_SIZE": "50",
        "QUOTA_CALLS": "190",
        "HEAD_ROOM": "0.125",
        "QUEUE_URL": "Queue/Main",
        "POWERTOOLS_SERVICE_NAME": "Another",
        "POWERTOOLS_METRICS_NAMESPACE": "HubSpotAssociationLimits",
        "POWERTOOLS_LOG_LEVEL": "WARNING",
    }

    environments = {name: dict(function(other, name)["Environment"]["Variables"]) for name in HANDLERS}

    assert environments["Webhook"].pop("CLIENTS_SECRET") == "Another/clients"
    assert environments["Webhook"].pop("PUBLIC_URL") == "https://limits.example.com/api"
    assert environments["Webhook"].pop("AUTHORIZATION") == "iam"
    assert environments["Webhook"].pop("CORS_ORIGIN") == "https://admin.example.com"
    assert environments == dict.fromkeys(HANDLERS, shared)


@EVERY_FUNCTION
def test_without_time_zones_the_variable_is_there_and_empty(stack: Synthesised, name: str) -> None:
    assert function(stack, name)["Environment"]["Variables"]["PORTAL_TIME_ZONES"] == ""
