"""The ledger and the secrets, and what becomes of them when the stack goes."""

from __future__ import annotations

import json

import pytest

from tests.infra.template import Synthesised

# Whatever holds something that cannot be made again.
KEPT = {
    "AWS::DynamoDB::Table": {"Storage/Outcomes"},
    "AWS::SecretsManager::Secret": {"Storage/Token-default", "Storage/Clients"},
    "AWS::Logs::LogGroup": {
        "Webhook/Log",
        "Consumer/Log",
        "Scheduled/Log",
        "DeadLetters/Log",
        "Sweep/Log",
        "Dispatcher/Log",
        "Ingress/AccessLog",
        "Ingress/ExecutionLog",
    },
    "AWS::KMS::Key": {"Encryption/Key"},
}

MADE_AGAIN = {"Storage/AccessTokens"}


def test_an_outcome_is_found_by_its_id_by_pair_by_status_and_when_it_is_due(stack: Synthesised) -> None:
    table = stack.properties("AWS::DynamoDB::Table", "Storage/Outcomes")

    def keys(schema: list[dict[str, str]]) -> dict[str, str]:
        return {key["KeyType"]: key["AttributeName"] for key in schema}

    assert keys(table["KeySchema"]) == {"HASH": "id"}
    assert {index["IndexName"]: keys(index["KeySchema"]) for index in table["GlobalSecondaryIndexes"]} == {
        "by-pair": {"HASH": "pairKey", "RANGE": "sortKey"},
        "by-status": {"HASH": "statusKey", "RANGE": "sortKey"},
        "by-due": {"HASH": "dueKey", "RANGE": "dueSort"},
    }
    assert {index["Projection"]["ProjectionType"] for index in table["GlobalSecondaryIndexes"]} == {"KEYS_ONLY"}
    assert {attribute["AttributeType"] for attribute in table["AttributeDefinitions"]} == {"S"}


def test_the_ledger_is_on_demand_recoverable_and_forgets_in_time(stack: Synthesised) -> None:
    table = stack.properties("AWS::DynamoDB::Table", "Storage/Outcomes")

    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expiresAt", "Enabled": True}


def test_access_tokens_are_in_no_backup_encrypted_and_forgotten_in_time(stack: Synthesised, other: Synthesised) -> None:
    table = stack.properties("AWS::DynamoDB::Table", "Storage/AccessTokens")

    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert "PointInTimeRecoverySpecification" not in table
    assert table["SSESpecification"] == {"SSEEnabled": True}  # under AWS's key in the account, whose use it logs
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expiresAt", "Enabled": True}
    for of in (stack, other):
        assert of.of_type("AWS::DynamoDB::Table")["Storage/AccessTokens"]["DeletionPolicy"] == "Delete"


@pytest.mark.parametrize("kind", KEPT)
def test_what_cannot_be_made_again_outlives_a_protected_stack(stack: Synthesised, kind: str) -> None:
    resources = {path: resource for path, resource in stack.of_type(kind).items() if path not in MADE_AGAIN}

    assert set(resources) == KEPT[kind]
    assert {resource["DeletionPolicy"] for resource in resources.values()} == {"Retain"}
    assert {resource["UpdateReplacePolicy"] for resource in resources.values()} == {"Retain"}


@pytest.mark.parametrize("kind", KEPT)
def test_nothing_is_left_of_an_unprotected_stack(other: Synthesised, kind: str) -> None:
    assert {resource["DeletionPolicy"] for resource in other.of_type(kind).values()} == {"Delete"}


def test_the_setting_protects_the_stack_and_the_table(stack: Synthesised, other: Synthesised) -> None:
    def protected(of: Synthesised) -> bool:
        protected: bool = of.properties("AWS::DynamoDB::Table", "Storage/Outcomes")["DeletionProtectionEnabled"]
        return protected

    assert (stack.termination_protection, protected(stack)) == (True, True)
    assert (other.termination_protection, protected(other)) == (False, False)


def test_each_portal_has_a_secret_named_after_it(other: Synthesised) -> None:
    secrets = other.of_type("AWS::SecretsManager::Secret")

    assert {path: secret["Properties"]["Name"] for path, secret in secrets.items()} == {
        "Storage/Token-acme": "another/tokens/acme",
        "Storage/Token-globex": "another/tokens/globex",
        "Storage/Clients": "Another/clients",
    }


@pytest.mark.parametrize(("path", "content"), [("Storage/Token-default", {}), ("Storage/Clients", {"clients": []})])
def test_a_fresh_secret_lets_nobody_in(stack: Synthesised, path: str, content: dict[str, object]) -> None:
    generated = stack.properties("AWS::SecretsManager::Secret", path)["GenerateSecretString"]

    assert json.loads(generated["SecretStringTemplate"]) == content
    assert generated["GenerateStringKey"] == "placeholder"


def test_outputs_name_what_a_person_or_a_program_needs_next(stack: Synthesised, other: Synthesised) -> None:
    def outputs(of: Synthesised) -> dict[str, str]:
        return {name: str(of.readable(output["Value"])) for name, output in of.template["Outputs"].items()}

    shown = outputs(stack)
    assert set(shown) == {
        "ApiUrl",
        "ApiId",
        "ApiStage",
        "QueueUrl",
        "DeadLetterQueueUrl",
        "OutcomesTable",
        "TokenSecretName",
        "ClientsSecretName",
        "SecretPrefix",
    }
    assert shown["QueueUrl"] == "Queue/Main"
    assert shown["DeadLetterQueueUrl"] == "Queue/DeadLetters"
    assert shown["OutcomesTable"] == "Storage/Outcomes"
    assert shown["ApiUrl"].startswith("https://Ingress/Api.execute-api.")
    assert shown["TokenSecretName"] == "hubspot-association-limits/portals/default"
    assert outputs(other)["TokenSecretName"] == "another/tokens/acme"
    assert outputs(other)["ClientsSecretName"] == "Another/clients"
    assert outputs(other)["SecretPrefix"] == "another/tokens"
