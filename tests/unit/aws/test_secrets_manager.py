"""Secrets: found, remembered for a while, replaced only unchanged, and never shown."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from aws.secrets_manager import NO_MEMORY, Secret, SecretStore
from model.errors import HubSpotFailure, Misconfigured, Unavailable
from tests.support.fakes import Clock
from tests.support.vault import Vault

if TYPE_CHECKING:
    from types_boto3_secretsmanager import SecretsManagerClient


def test_a_secret_is_remembered_for_five_minutes(vault: Vault, clock: Clock) -> None:
    name = vault.put("default", "first")
    assert vault.store.current(name).text == "first"
    vault.put("default", "second")

    clock.advance(299)
    assert vault.store.current(name).text == "first"
    clock.advance(1)
    assert vault.store.current(name).text == "second"


def test_a_fresh_secret_is_fetched_at_once_and_remembered(vault: Vault) -> None:
    name = vault.put("default", "first")
    vault.store.current(name)
    vault.put("default", "second")

    assert vault.store.current(name, NO_MEMORY).text == "second"
    assert vault.store.current(name).text == "second"


def test_a_reader_says_how_old_its_secret_may_be(vault: Vault, clock: Clock) -> None:
    name = vault.put("default", "first")
    vault.store.current(name)
    vault.put("default", "second")

    clock.advance(2)
    assert vault.store.current(name, timedelta(seconds=3)).text == "first"
    clock.advance(1)
    assert vault.store.current(name, timedelta(seconds=3)).text == "second"


def test_a_slow_answer_does_not_replace_a_newer_one(vault: Vault, clock: Clock) -> None:
    name = vault.put("default", "first")
    get = vault.client.get_secret_value

    class Slow:
        def get_secret_value(self, **asked: Any) -> Any:
            answer = get(**asked)
            clock.advance(1)
            if answer["SecretString"] == "first":
                vault.put("default", "second")
                store.current(name, NO_MEMORY)  # another thread's, meanwhile
            return answer

    slow: Any = Slow()
    store = SecretStore(slow, clock)

    assert store.current(name).text == "first"
    assert store.current(name).text == "second"


def test_a_replaced_secret_is_the_current_version_and_remembered(vault: Vault) -> None:
    name = vault.put("default", "first")
    first = vault.store.current(name)

    second = vault.store.replace(name, first.version, "second")

    assert second == vault.store.current(name) == vault.store.current(name, NO_MEMORY)
    assert second is not None
    assert second.text == "second"
    stages = vault.client.describe_secret(SecretId=name)["VersionIdsToStages"]
    assert stages[first.version] == ["AWSPREVIOUS"]
    assert sorted(stages[second.version]) == ["AWSCURRENT", "REFRESHED"]


def test_a_secret_that_somebody_else_has_changed_is_not_replaced(vault: Vault) -> None:
    name = vault.put("default", "first")
    first = vault.store.current(name)
    vault.put("default", "the owner's")

    assert vault.store.replace(name, first.version, "second") is None
    assert vault.store.current(name).text == "the owner's"
    assert vault.store.current(name, NO_MEMORY).text == "the owner's"


class Interrupted:
    """Secrets Manager of which one operation fails for a while, before or after it has done its work."""

    def __init__(self, client: SecretsManagerClient, operation: str, *, done: bool = False) -> None:
        self.client = client
        self.operation = operation
        self.done = done
        self.failing = True

    def __getattr__(self, name: str) -> Any:
        def call(**asked: Any) -> Any:
            fails = self.failing and name == self.operation
            answer = getattr(self.client, name)(**asked) if self.done or not fails else None
            if fails:
                raise ClientError({"Error": {"Code": "InternalServiceError"}}, name)
            return answer

        return call


@pytest.mark.parametrize("operation", ["put_secret_value", "update_secret_version_stage"])
def test_a_replacement_that_fails_can_be_done_again_and_makes_no_more_versions(
    vault: Vault, clock: Clock, operation: str
) -> None:
    name = vault.put("default", "first")
    client: Any = Interrupted(vault.client, operation)
    store = SecretStore(client, clock)
    first = store.current(name)

    for _ in range(3):
        with pytest.raises(Unavailable, match=r"could not be written \(InternalServiceError\)"):
            store.replace(name, first.version, "second")
    assert store.current(name, NO_MEMORY) == first
    client.failing = False

    second = store.replace(name, first.version, "second")
    assert second is not None
    assert store.current(name, NO_MEMORY) == second
    assert len(vault.client.describe_secret(SecretId=name)["VersionIdsToStages"]) == 2


def test_a_replacement_whose_answer_was_lost_has_been_made(vault: Vault, clock: Clock) -> None:
    name = vault.put("default", "first")
    client: Any = Interrupted(vault.client, "update_secret_version_stage", done=True)
    store = SecretStore(client, clock)

    second = store.replace(name, store.current(name).version, "second")

    assert second == Secret("second", store.current(name).version)


class Failing:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def get_secret_value(self, **_: str) -> object:
        raise self.error

    put_secret_value = get_secret_value


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "GetSecretValue"), Misconfigured),
        (ClientError({"Error": {"Code": "AccessDeniedException"}}, "GetSecretValue"), Misconfigured),
        (ClientError({"Error": {"Code": "ThrottlingException"}}, "GetSecretValue"), Unavailable),
        (ClientError({"Error": {"Code": "InternalServiceError"}}, "GetSecretValue"), Unavailable),
        (EndpointConnectionError(endpoint_url="https://secrets.test"), Unavailable),
    ],
    ids=repr,
)
def test_a_secret_that_cannot_be_reached_is_misconfigured_or_passing(
    clock: Clock, error: Exception, kind: type[HubSpotFailure]
) -> None:
    client: Any = Failing(error)
    store = SecretStore(client, clock)

    with pytest.raises(kind, match="the secret p/default could not be read"):
        store.current("p/default")
    with pytest.raises(kind, match="the secret p/default could not be written"):
        store.replace("p/default", "v1", "text")
