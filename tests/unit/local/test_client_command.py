"""`make client`: a caller's key, made, changed and ended in the secret, without anybody else's change being lost."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.authentication import Unauthenticated, authenticate, recognise
from api.clients import Client, Clients
from aws.secrets_manager import NO_MEMORY
from local import client as command
from local.client import added, change, new_key, removed, retired, rotated
from local.place import NotDone, Place
from local.stack import key_hash
from tests.support.aws import client, clients_secret
from tests.support.fakes import Clock
from tests.support.vault import Vault

NOBODY = Clients(())


def entry(name: str, key: str) -> Client:
    return Client(name=name, key_sha256=(key_hash(key),), portals=("*",))


def hashes(known: Clients, name: str) -> tuple[str, ...]:
    (found,) = [each for each in known.clients if each.name == name]
    return found.key_sha256


def test_the_life_of_a_key() -> None:
    known = added(added(NOBODY, entry("other", "theirs")), entry("crm", "first"))

    known = rotated(known, "crm", key_hash("second"))
    assert hashes(known, "crm") == (key_hash("first"), key_hash("second"))

    known = retired(known, "crm")
    assert hashes(known, "crm") == (key_hash("second"),)

    known = removed(known, "crm")
    assert [each.name for each in known.clients] == ["other"]
    assert hashes(known, "other") == (key_hash("theirs"),)


@pytest.mark.parametrize(
    ("refused", "advice"),
    [
        (lambda known: added(known, entry("crm", "x")), "ROTATE=1"),
        (lambda known: retired(known, "crm"), "ROTATE=1"),
        (lambda known: rotated(rotated(known, "crm", key_hash("b")), "crm", key_hash("c")), "RETIRE=1"),
        (lambda known: rotated(known, "nobody", key_hash("b")), "known are: crm"),
        (lambda known: retired(known, "nobody"), "known are: crm"),
        (lambda known: removed(known, "nobody"), "known are: crm"),
    ],
)
def test_what_cannot_be_done_is_told_with_what_to_do(refused: Any, advice: str) -> None:
    with pytest.raises(NotDone, match=advice):
        refused(added(NOBODY, entry("crm", "first")))


@given(st.lists(st.sampled_from(["crm", "sales", "ops"]), unique=True), st.sampled_from(["crm", "sales", "ops"]))
def test_a_change_of_one_client_leaves_all_others_as_they_are(names: list[str], name: str) -> None:
    known = Clients(tuple(entry(each, each) for each in names))
    others = [each for each in known.clients if each.name != name]

    after = rotated(known, name, key_hash("new")) if name in names else added(known, entry(name, "new"))

    assert [each for each in after.clients if each.name != name] == others


def test_keys_are_long_and_never_the_same() -> None:
    keys = {new_key() for _ in range(100)}

    assert len(keys) == 100
    assert min(map(len, keys)) >= 43  # 256 bits in Base64


def test_a_change_that_others_make_meanwhile_is_kept(vault: Vault, clock: Clock) -> None:
    secret = vault.put("clients", '{"clients": [], "placeholder": "x"}')
    place = Place("here", {"ClientsSecretName": secret}, vault.client)

    def slowly(known: Clients) -> Clients:
        if not known.clients:  # the first time somebody is faster
            vault.put("clients", clients_secret(client("sales")))
        return added(known, entry("crm", "crm-key"))

    change(place, slowly)

    names = [authenticate(f"Bearer {name}-key", vault.store, secret, clock()).name for name in ("crm", "sales")]
    assert names == ["crm", "sales"]
    assert "crm-key" not in vault.store.current(secret, NO_MEMORY).text


def test_a_secret_that_cannot_be_read_is_named(vault: Vault) -> None:
    with pytest.raises(NotDone, match="the secret nowhere could not be read"):
        change(Place("here", {"ClientsSecretName": "nowhere"}, vault.client), lambda known: known)


def run(monkeypatch: pytest.MonkeyPatch, vault: Vault, *arguments: str) -> None:
    monkeypatch.setattr("sys.argv", ["client", *arguments])
    place = Place("here", {"ClientsSecretName": f"{vault.prefix}/clients"}, vault.client)
    monkeypatch.setattr(command, "find", lambda _: place)
    command.main()


def test_the_key_alone_is_printed_to_standard_output(
    vault: Vault, clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = vault.put("clients", '{"clients": []}')
    bounds = ["--portals", "acme,default", "--object-types", "deals", "--expires", "2999-01-01T00:00:00Z", "--replay"]

    run(monkeypatch, vault, "crm", *bounds)

    printed = capsys.readouterr()
    key = printed.out.strip()
    known = authenticate(f"Bearer {key}", vault.store, secret, clock())
    assert (known.name, known.portals, known.object_types, known.may_replay) == (
        "crm",
        ("acme", "default"),
        ("deals",),
        True,
    )
    assert key not in printed.err
    assert key not in vault.store.current(secret, NO_MEMORY).text


def test_a_client_known_by_its_principals_has_no_key(
    vault: Vault, clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = vault.put("clients", '{"clients": []}')
    arns = "arn:aws:iam::123456789012:role/crm,arn:aws:iam::123456789012:user/ops/ann"

    run(monkeypatch, vault, "crm", "--principals", arns, "--rate", "60")

    assert capsys.readouterr().out == ""
    for arn in arns.split(","):
        known = recognise(arn, vault.store, secret, clock())
        assert (known.name, known.portals, known.requests_per_minute) == ("crm", ("*",), 60)
    for instead in ("--rotate", "--retire"):
        with pytest.raises(SystemExit, match="has no key"):
            run(monkeypatch, vault, "crm", instead)


def test_a_key_is_rotated_and_the_older_one_ended_and_removed(
    vault: Vault, clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = vault.put("clients", clients_secret(client("crm", portals=["acme"])))

    run(monkeypatch, vault, "crm", "--rotate")
    key = capsys.readouterr().out.strip()
    assert [authenticate(f"Bearer {each}", vault.store, secret, clock()).portals for each in ("crm-key", key)] == [
        ("acme",)
    ] * 2

    run(monkeypatch, vault, "crm", "--retire")
    assert capsys.readouterr().out == ""
    clock.advance(300)
    assert authenticate(f"Bearer {key}", vault.store, secret, clock()).name == "crm"
    with pytest.raises(Unauthenticated):
        authenticate("Bearer crm-key", vault.store, secret, clock())

    run(monkeypatch, vault, "crm", "--remove")
    assert json.loads(vault.store.current(secret, NO_MEMORY).text) == {"clients": []}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["crm", "--expires", "soon"], "expiresAt"),
        (["crm", "--portals", "Acme"], "portals"),
        (["crm", "--rate", "0"], "requestsPerMinute"),
        (["crm", "--principals", "crm"], "principals"),
        (["crm", "--retire"], "there is no client crm"),
    ],
)
def test_nothing_is_changed_where_the_command_is_wrong(
    vault: Vault, monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str
) -> None:
    secret = vault.put("clients", '{"clients": []}')

    with pytest.raises(SystemExit, match=told):
        run(monkeypatch, vault, *arguments)

    assert vault.store.current(secret, NO_MEMORY).text == '{"clients": []}'


def test_what_a_client_may_do_is_not_changed_along_with_its_key(
    vault: Vault, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run(monkeypatch, vault, "crm", "--rotate", "--portals", "acme")

    assert "make it anew" in capsys.readouterr().err
