"""Tokens and client keys: found, remembered for a while, refused when unusable, and never shown."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from batch_create.errors import HubSpotFailure, Misconfigured, Unavailable
from batch_create.secret_store import SecretStore
from batch_create.tokens import Tokens
from clients import Unauthenticated, authenticate
from tests.support.aws import clients_secret
from tests.support.fakes import Clock

if TYPE_CHECKING:
    from types_boto3_secretsmanager import SecretsManagerClient


class Vault:
    """Secrets by name, for one test."""

    def __init__(self, client: SecretsManagerClient, clock: Clock) -> None:
        self.client = client
        self.prefix = uuid4().hex
        self.store = SecretStore(client, clock)
        self.tokens = Tokens(self.store, self.prefix)

    def put(self, name: str, text: str) -> str:
        full = f"{self.prefix}/{name}"
        try:
            self.client.put_secret_value(SecretId=full, SecretString=text)
        except self.client.exceptions.ResourceNotFoundException:
            self.client.create_secret(Name=full, SecretString=text)
        return full


@pytest.fixture
def vault(aws: tuple[object, object, SecretsManagerClient], clock: Clock) -> Vault:
    return Vault(aws[2], clock)


@pytest.mark.parametrize(
    "text", ["pat-1", " pat-1\n", '{"accessToken": "pat-1"}', '{"accessToken": "pat-1", "hubId": 7}']
)
def test_a_token_is_plain_text_or_json(vault: Vault, text: str) -> None:
    vault.put("default", text)

    assert vault.tokens.bearer("default") == "pat-1"


@pytest.mark.parametrize(
    "text", ["{", "{}", '{"accessToken": ""}', '{"accessToken": 5}', '{"placeholder": "x"}', "a b", "tök", "a\nb", " "]
)
def test_a_secret_without_a_usable_token_is_named_and_not_shown(vault: Vault, text: str) -> None:
    name = vault.put("default", text)

    with pytest.raises(Misconfigured) as caught:
        vault.tokens.bearer("default")
    assert name in caught.value.message
    assert text not in caught.value.message.replace(name, "") or not text.strip()


def test_a_token_is_remembered_for_five_minutes(vault: Vault, clock: Clock) -> None:
    vault.put("default", "first")
    assert vault.tokens.bearer("default") == "first"
    vault.put("default", "second")

    clock.advance(299)
    assert vault.tokens.bearer("default") == "first"
    clock.advance(1)
    assert vault.tokens.bearer("default") == "second"


def test_a_fresh_token_is_fetched_at_once_and_remembered(vault: Vault) -> None:
    vault.put("default", "first")
    vault.tokens.bearer("default")
    vault.put("default", "second")

    assert vault.tokens.bearer("default", fresh=True) == "second"
    assert vault.tokens.bearer("default") == "second"


def test_each_portal_has_its_own_secret(vault: Vault) -> None:
    vault.put("default", "one")
    vault.put("acme", "two")

    assert (vault.tokens.bearer("default"), vault.tokens.bearer("acme")) == ("one", "two")


class Failing:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def get_secret_value(self, **_: str) -> object:
        raise self.error


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
def test_a_secret_that_cannot_be_read_is_misconfigured_or_passing(
    clock: Clock, error: Exception, kind: type[HubSpotFailure]
) -> None:
    client: Any = Failing(error)
    store = SecretStore(client, clock)

    with pytest.raises(kind, match="the secret p/default could not be read"):
        Tokens(store, "p").bearer("default")


def test_a_client_is_known_by_its_key(vault: Vault) -> None:
    secret = vault.put("clients", clients_secret(crm=["*"], sales=["acme"]))

    crm = authenticate("Bearer crm-key", vault.store, secret)
    sales = authenticate("bearer  sales-key ", vault.store, secret)

    assert (crm.name, sales.name) == ("crm", "sales")
    assert crm.may_use("anything")
    assert sales.may_use("acme")
    assert not sales.may_use("default")


def test_a_key_can_be_changed_without_a_moment_in_which_none_is_valid(vault: Vault) -> None:
    hashes = [hashlib.sha256(key).hexdigest() for key in (b"old", b"new")]
    entry = {"name": "crm", "keySha256": hashes, "portals": ["*"]}
    secret = vault.put("clients", json.dumps({"clients": [entry]}))

    assert {authenticate(f"Bearer {key}", vault.store, secret).name for key in ("old", "new")} == {"crm"}


def test_a_hash_is_no_key(vault: Vault) -> None:
    secret = vault.put("clients", clients_secret(crm=["*"]))

    with pytest.raises(Unauthenticated):
        authenticate(f"Bearer {hashlib.sha256(b'crm-key').hexdigest()}", vault.store, secret)


def test_a_new_deployment_knows_nobody(vault: Vault) -> None:
    secret = vault.put("clients", '{"clients": [], "placeholder": "x"}')

    with pytest.raises(Unauthenticated):
        authenticate("Bearer x", vault.store, secret)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"clients": [{"name": "crm"}]}', '{"clients": "hidden"}'])
def test_a_secret_that_holds_no_clients_is_our_fault_and_not_the_callers(vault: Vault, text: str) -> None:
    secret = vault.put("clients", text or " ")

    with pytest.raises(Misconfigured) as caught:
        authenticate("Bearer crm-key", vault.store, secret)
    assert "hidden" not in caught.value.message
