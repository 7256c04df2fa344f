"""Under which key everything is kept."""

from __future__ import annotations

from typing import Any

import pytest

from tests.infra.template import Synthesised

KEY = "Encryption/Key"
# Of each kind that keeps something, the property that names its key.
ENCRYPTED = {
    "AWS::DynamoDB::Table": ("SSESpecification", "KMSMasterKeyId"),
    "AWS::SecretsManager::Secret": ("KmsKeyId",),
    "AWS::SQS::Queue": ("KmsMasterKeyId",),
    "AWS::Logs::LogGroup": ("KmsKeyId",),
    "AWS::Lambda::Function": ("KmsKeyArn",),
}


def keys(stack: Synthesised, kind: str) -> set[Any]:
    found = set()
    for path in stack.of_type(kind):
        value: Any = stack.properties(kind, path)
        for name in ENCRYPTED[kind]:
            value = (value or {}).get(name)
        found.add(value)
    return found


@pytest.mark.parametrize("kind", ENCRYPTED)
def test_the_setting_puts_everything_under_the_stacks_own_key(
    stack: Synthesised, other: Synthesised, kind: str
) -> None:
    assert keys(stack, kind) == {None}
    assert keys(other, kind) == {KEY}


def test_the_key_rotates_and_is_the_only_one(stack: Synthesised, other: Synthesised) -> None:
    for of in (stack, other):
        assert set(of.of_type("AWS::KMS::Key")) == {KEY}
        assert of.properties("AWS::KMS::Key", KEY)["EnableKeyRotation"] is True


def test_the_log_service_may_use_the_key_for_this_accounts_groups_only(stack: Synthesised, other: Synthesised) -> None:
    def of_logs(of: Synthesised) -> list[dict[str, Any]]:
        statements = of.properties("AWS::KMS::Key", KEY)["KeyPolicy"]["Statement"]
        return [each for each in statements if str(each["Principal"].get("Service", "")).startswith("logs.")]

    (statement,) = of_logs(other)
    assert of_logs(stack) == []
    assert statement["Effect"] == "Allow"
    assert statement["Principal"] == {"Service": "logs.<AWS::Region>.amazonaws.com"}
    (groups,) = statement["Condition"]["ArnLike"].values()
    assert groups.endswith(":logs:<AWS::Region>:<AWS::AccountId>:log-group:*")


def test_scheduler_may_have_encrypted_what_it_sends_to_the_dead_letters(stack: Synthesised, other: Synthesised) -> None:
    def of_key(of: Synthesised) -> set[str]:
        return {action for action, resource in of.allowed("Schedules/Role") if resource == KEY}

    assert of_key(stack) == set()
    assert of_key(other) == {"kms:Decrypt", "kms:GenerateDataKey"}
