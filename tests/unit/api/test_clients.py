"""Clients: known by their key, bounded by their entry, and never shown."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.authentication import Unauthenticated, authenticate, recognise
from api.clients import Client, Forbidden
from model.errors import Misconfigured
from model.object_types import object_type_id
from model.outcomes import Outcome, Status, Trigger
from model.records import iso
from tests.support.aws import client, clients_secret
from tests.support.fakes import START, Clock
from tests.support.vault import Vault

# What a portal's HubSpot has told: a custom type by two names, another by one, and of p_bus nothing.
TOLD = {("default", "p_car"): "2-456", ("default", "p1_car"): "2-456", ("default", "p_van"): "2-5"}
type_names = st.sampled_from(["deals", "DEAL", "0-3", "contacts", "0-1", "p_car", "p1_car", "2-456", "p_van", "p_bus"])


def known(portal: str, name: str) -> str | None:
    """The ids that need no question to HubSpot."""
    return object_type_id(name) or TOLD.get((portal, name))


def nobody(portal: str, name: str) -> str | None:
    raise AssertionError("nobody needs to be asked")


def hash_of(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def enter(vault: Vault, clock: Clock, key: str, secret: str) -> Client:
    return authenticate(f"Bearer {key}", vault.store, secret, clock())


def refused(vault: Vault, clock: Clock, key: str, secret: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        enter(vault, clock, key, secret)
    assert key not in str(caught.value)
    return caught.value.reason


def test_a_client_is_known_by_its_key(vault: Vault, clock: Clock) -> None:
    secret = vault.put("clients", clients_secret(client("crm"), client("sales", portals=["acme"], mayReplay=False)))

    crm = enter(vault, clock, "crm-key", secret)
    sales = authenticate("bearer  sales-key ", vault.store, secret, clock())

    assert (crm.name, sales.name) == ("crm", "sales")
    assert (crm.may_use("anything"), crm.may_replay) == (True, True)
    assert [sales.may_use(portal) for portal in ("acme", "default")] == [True, False]
    assert not sales.may_replay


def outcome(from_type: str | None, to_type: str | None, portal: str = "default") -> Outcome:
    return Outcome(
        id="o-1",
        portal=portal,
        from_object_type=from_type,
        to_object_type=to_type,
        status=Status.COMPLETE,
        trigger=Trigger.QUEUE,
        requested_at=START,
    )


def may_ask(client: Client, *names: str) -> bool:
    try:
        client.require("default", names, known)
    except Forbidden:
        return False
    return True


@given(st.frozensets(type_names, min_size=1), type_names, type_names)
def test_a_client_may_use_a_pair_of_which_it_may_use_both_types_by_whatever_names(
    allowed: frozenset[str], one: str, other: str
) -> None:
    client = Client("crm", frozenset({"default"}), allowed)
    ids = {known("default", name) for name in allowed} - {None}

    expected = {known("default", one), known("default", other)} <= ids

    assert may_ask(client, one, other) is client.may_read(outcome(one, other), known) is expected
    assert not client.may_read(outcome(one, other, "acme"), known)
    assert not client.may_read(outcome(None, None), known)


def test_the_same_name_is_another_type_in_another_portal() -> None:
    client = Client("crm", frozenset({"*"}), frozenset({"p_car"}))

    assert client.may_read(outcome("p_car", "2-456"), known)
    assert not client.may_read(outcome("p_car", "2-456", "acme"), known)


def test_given_a_list_of_hubspots_own_types_when_one_of_them_is_asked_for_no_other_entry_is_looked_up() -> None:
    client = Client("crm", frozenset({"default"}), ("p_bus", "deals"))
    looked_up: list[str] = []

    def watched(portal: str, name: str) -> str | None:
        looked_up.append(name)
        return known(portal, name)

    client.require("default", ["0-3"], watched)

    assert looked_up == ["0-3"]


def test_given_a_page_of_outcomes_when_a_client_reads_it_each_name_is_looked_up_once() -> None:
    client = Client("crm", frozenset({"default"}), ("p_car", "p_bus"))
    looked_up: list[str] = []

    def watched(portal: str, name: str) -> str | None:
        looked_up.append(name)
        return known(portal, name)

    page = [outcome("2-456", "p1_car"), outcome("p_bus", "p_car"), outcome("2-456", "p_van")] * 30

    assert client.readable(page, watched) == [outcome("2-456", "p1_car")] * 30
    assert sorted(looked_up) == sorted(set(looked_up))


def test_a_client_of_all_types_needs_nobody_to_compare_them() -> None:
    client = Client("crm", frozenset({"default"}))

    client.require("default", ["p_bus", "dealz"], nobody)

    assert client.may_read(outcome("p_bus", "dealz"), nobody)
    assert client.may_read(outcome(None, None), nobody)
    assert not client.may_read(outcome(None, None, "acme"), nobody)


def test_what_is_not_allowed_is_named(vault: Vault, clock: Clock) -> None:
    client = Client("crm", frozenset({"default"}), frozenset({"deals"}))

    with pytest.raises(Forbidden, match="crm may not use the portal acme"):
        client.require_portal("acme")
    with pytest.raises(Forbidden, match="crm may not use the portal acme"):
        client.require("acme", ["deals"], nobody)
    with pytest.raises(Forbidden, match=r"crm may not use the object type contacts$"):
        client.require("default", ["deals", "contacts"], known)
    with pytest.raises(Forbidden, match="crm may not replay"):
        client.require_replay()


def test_what_cannot_be_compared_yet_is_named() -> None:
    client = Client("crm", frozenset({"default"}), ("deals", "p_bus", "p_car"))

    with pytest.raises(Forbidden, match=r"^the object type p_bus cannot be compared .* until HubSpot has told its id$"):
        client.require("default", ["deals", "p_bus"], known)
    with pytest.raises(Forbidden, match="may not use the object type 2-7; its p_bus cannot be compared until HubSpot"):
        client.require("default", ["2-7", "deals"], known)


def test_where_the_secret_says_nothing_of_it_all_object_types_are_allowed_and_no_replay(
    vault: Vault, clock: Clock
) -> None:
    entry = {"name": "crm", "keySha256": [hash_of("k")], "portals": ["*"]}
    secret = vault.put("clients", json.dumps({"clients": [entry]}))

    found = enter(vault, clock, "k", secret)

    assert found.may_read(outcome("deals", "contacts"), nobody)
    assert found.may_read(outcome(None, None), nobody)
    assert not found.may_replay


def test_a_key_can_be_changed_without_a_moment_in_which_none_is_valid(vault: Vault, clock: Clock) -> None:
    secret = vault.put("clients", clients_secret(client("crm", keySha256=[hash_of("old")])))
    assert enter(vault, clock, "old", secret).name == "crm"

    vault.put("clients", clients_secret(client("crm", keySha256=[hash_of("old"), hash_of("new").upper()])))
    clock.advance(10)  # a warm function has looked lately

    assert {enter(vault, clock, key, secret).name for key in ("old", "new")} == {"crm"}

    vault.put("clients", clients_secret(client("crm", keySha256=[hash_of("new")])))
    clock.advance(300)

    assert enter(vault, clock, "new", secret).name == "crm"
    assert refused(vault, clock, "old", secret) == "unknown"


def test_guesses_ask_secrets_manager_once_in_ten_seconds(
    vault: Vault, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = vault.put("clients", clients_secret(client("crm")))
    enter(vault, clock, "crm-key", secret)
    asked: list[str] = []
    ask = vault.client.get_secret_value

    def watched(**named: Any) -> Any:
        asked.append(named["SecretId"])
        return ask(**named)

    monkeypatch.setattr(vault.client, "get_secret_value", watched)

    for second in range(100):
        assert refused(vault, clock, f"guess-{second}", secret) == "unknown"
        clock.advance(1)

    assert len(asked) == 9


def test_a_client_that_has_expired_is_refused_from_that_moment_on(vault: Vault, clock: Clock) -> None:
    end = iso(clock() + timedelta(seconds=60))
    secret = vault.put("clients", clients_secret(client("crm", expiresAt=end)))

    clock.advance(59)
    assert enter(vault, clock, "crm-key", secret).name == "crm"
    clock.advance(1)
    assert refused(vault, clock, "crm-key", secret) == "expired"


def test_a_client_whose_end_was_put_off_gets_in_again_at_once(vault: Vault, clock: Clock) -> None:
    ends = [iso(clock() + timedelta(seconds=seconds)) for seconds in (60, 6_000)]
    secret = vault.put("clients", clients_secret(client("crm", expiresAt=ends[0])))
    assert enter(vault, clock, "crm-key", secret).name == "crm"

    vault.put("clients", clients_secret(client("crm", expiresAt=ends[1])))
    clock.advance(60)

    assert enter(vault, clock, "crm-key", secret).name == "crm"


def test_a_hash_is_no_key(vault: Vault, clock: Clock) -> None:
    secret = vault.put("clients", clients_secret(client("crm")))

    assert refused(vault, clock, hash_of("crm-key"), secret) == "unknown"


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer  ", "Basic crm-key", "crm-key"])
def test_a_request_without_a_key_is_refused_before_the_secret_is_read(
    vault: Vault, clock: Clock, header: str | None
) -> None:
    with pytest.raises(Unauthenticated) as caught:
        authenticate(header, vault.store, "there is none", clock())

    assert caught.value.reason == "missing"


def test_a_new_deployment_knows_nobody(vault: Vault, clock: Clock) -> None:
    secret = vault.put("clients", '{"clients": [], "placeholder": "x"}')

    assert refused(vault, clock, "x", secret) == "unknown"


def entries(*changes: dict[str, object]) -> str:
    return json.dumps({"clients": [client(f"client-{index}", **change) for index, change in enumerate(changes)]})


SHARED = hash_of("shared")
ROLE = "arn:aws:iam::123456789012:role/crm"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (" ", "is not valid JSON"),
        ("[]", "the whole"),
        ("{}", "clients"),
        ('{"clients": "hidden"}', "clients"),
        ('{"clients": [{"name": "crm"}]}', "clients[0].portals"),
        (entries({"keySha256": []}), "clients[0]: keySha256 or principals must name at least one"),
        (entries({"principals": ["hidden"]}), "clients[0].principals[0]"),
        (entries({"principals": ["arn:aws:sts::123456789012:assumed-role/crm/me"]}), "clients[0].principals[0]"),
        (entries({"principals": ["arn:aws:iam::123456789012:role/path/crm"]}), "clients[0].principals[0]"),
        (entries({"requestsPerMinute": 0}), "clients[0].requestsPerMinute"),
        (entries({"keySha256": ["hidden"]}), "clients[0].keySha256[0]"),
        (entries({"keySha256": [hash_of(str(n)) for n in range(3)]}), "clients[0].keySha256"),
        (entries({"portals": []}), "clients[0].portals"),
        (entries({"portals": ["Hidden"]}), "clients[0].portals[0]"),
        (entries({"objectTypes": []}), "clients[0].objectTypes"),
        (entries({"expiresAt": "2026-12-01T00:00:00"}), "clients[0].expiresAt"),
        (entries({}, {"objectType": ["deals"]}), "clients[1].objectType"),
        (entries({"name": "crm"}, {"name": "crm"}), "each name must be of one client only"),
        (entries({"keySha256": [SHARED]}, {"keySha256": [SHARED]}), "each keySha256 must be of one client only"),
        (entries({"principals": [ROLE]}, {"principals": [ROLE]}), "each principal must be of one client only"),
    ],
)
def test_a_secret_that_holds_no_clients_is_our_fault_and_told_without_what_it_holds(
    vault: Vault, clock: Clock, text: str, where: str
) -> None:
    secret = vault.put("clients", text)

    with pytest.raises(Misconfigured) as caught:
        enter(vault, clock, "crm-key", secret)

    assert where in caught.value.message
    assert "idden" not in caught.value.message
    assert SHARED not in caught.value.message
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("principal", "name"),
    [
        ("arn:aws:sts::123456789012:assumed-role/crm/some-session", "by role"),
        (ROLE, "by role"),
        ("arn:aws-cn:sts::123456789012:assumed-role/crm/i-0123", "in China"),
        ("arn:aws:iam::123456789012:user/ops/ann", "by user"),
    ],
)
def test_a_client_is_known_by_the_role_or_user_that_signed(
    vault: Vault, clock: Clock, principal: str, name: str
) -> None:
    entry = {"keySha256": [], "portals": ["*"]}
    secret = vault.put(
        "clients",
        clients_secret(
            client("by role", **entry | {"principals": [ROLE]}),
            client("in China", **entry | {"principals": ["arn:aws-cn:iam::123456789012:role/crm"]}),
            client("by user", **entry | {"principals": ["arn:aws:iam::123456789012:user/ops/ann"]}),
        ),
    )

    assert recognise(principal, vault.store, secret, clock()).name == name


@pytest.mark.parametrize(
    ("principal", "reason"),
    [
        (None, "missing"),
        ("", "missing"),
        ("arn:aws:sts::123456789012:assumed-role/crm2/crm", "unknown"),
        ("arn:aws:sts::999999999999:assumed-role/crm/crm", "unknown"),
        ("arn:aws:iam::123456789012:user/crm", "unknown"),
        ("arn:aws:iam::123456789012:root", "unknown"),
    ],
)
def test_no_other_role_or_user_is_known(vault: Vault, clock: Clock, principal: str | None, reason: str) -> None:
    secret = vault.put("clients", clients_secret(client("crm", principals=[ROLE])))

    with pytest.raises(Unauthenticated) as caught:
        recognise(principal, vault.store, secret, clock())

    assert caught.value.reason == reason


def test_a_role_is_refused_after_its_end_too(vault: Vault, clock: Clock) -> None:
    ended = client("crm", principals=[ROLE], expiresAt=iso(clock() - timedelta(seconds=1)))
    secret = vault.put("clients", clients_secret(ended))

    with pytest.raises(Unauthenticated, match="has expired"):
        recognise(ROLE, vault.store, secret, clock())
