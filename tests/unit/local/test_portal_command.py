"""`make portal`: a portal's secret, made, given another token and ended, and of what it holds nothing else is lost."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from local import portal as command
from local.hubspot.server import DEFAULT_TOKEN
from local.place import NotDone, Place
from local.portal import begun, change, ended
from tests.support.vault import Vault
from tokens.credentials import is_ended, parse

OAUTH = {"clientId": "c", "clientSecret": "s", "refreshToken": "r"}


@pytest.mark.parametrize(
    ("held", "given", "holds"),
    [
        (None, "pat-1", "pat-1"),
        ("pat-0", "pat-1", "pat-1"),
        ('{"placeholder": "x"}', "pat-1", "pat-1"),
        ('{"accessToken": "pat-0", "hubId": 7}', "pat-1", '{"accessToken": "pat-1", "hubId": 7}'),
        ("pat-0", json.dumps(OAUTH), json.dumps(OAUTH)),
        ('{"accessToken": "pat-0", "ended": true}', "", "pat-0"),
        ('{"hubId": 7, "accessToken": "pat-0", "ended": true}', "", '{"hubId": 7, "accessToken": "pat-0"}'),
    ],
)
def test_a_portal_begins_with_a_token_and_keeps_what_else_its_secret_holds(
    held: str | None, given: str, holds: str
) -> None:
    assert begun(held, given) == holds


@pytest.mark.parametrize(
    ("held", "given"), [(None, ""), ("{}", ""), (None, "a b"), (None, "{"), ("pat-0", '{"hubId": "x"}'), (None, "{}")]
)
def test_without_a_usable_token_nothing_is_done_and_the_reason_is_told(held: str | None, given: str) -> None:
    with pytest.raises(NotDone, match=r"no usable token|no JSON"):
        begun(held, given)


@pytest.mark.parametrize("held", ["pat-0", '{"accessToken": "pat-0", "hubId": 7}', '{"placeholder": "x"}', ""])
def test_an_end_is_written_into_the_secret_and_can_be_taken_back(held: str) -> None:
    text = ended(held)

    assert is_ended(text)
    assert parse(text, "v").ended
    if "pat-0" in held:
        assert parse(begun(text, ""), "v").access_token == "pat-0"


def test_what_was_never_there_cannot_end() -> None:
    with pytest.raises(NotDone, match="no such portal"):
        ended(None)


# ------------------------------------------------------------------------------------------------------ as it is called
@pytest.fixture
def place(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> Place:
    vault.put("clients", "{}")
    outputs = {"SecretPrefix": f"{vault.prefix}/portals", "ClientsSecretName": f"{vault.prefix}/clients"}
    made = Place("the local stack", outputs, vault.client, local=True)
    monkeypatch.setattr(command, "find", lambda _: made)
    return made


def called(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["portal", *arguments])
    command.main()


def stored(place: Place, name: str) -> str:
    secret = f"{place.outputs['SecretPrefix']}/{name}"
    return place.client.get_secret_value(SecretId=secret, VersionStage="AWSCURRENT")["SecretString"]


def test_the_life_of_a_portal(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("pat-2\n", encoding="utf-8-sig")

    called(monkeypatch, "acme")
    assert capsys.readouterr().out == "portal: in the local stack, acme takes requests within 30 seconds\n"
    assert stored(place, "acme") == DEFAULT_TOKEN
    called(monkeypatch, "acme", "--token", str(token))
    assert stored(place, "acme") == "pat-2"
    called(monkeypatch, "acme", "--end")
    assert json.loads(stored(place, "acme")) == {"accessToken": "pat-2", "ended": True}
    called(monkeypatch, "acme")
    assert stored(place, "acme") == "pat-2"
    assert "pat" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["Acme"], "the name 'Acme' must match"),
        (["a/b"], "the name 'a/b' must match"),
        (["acme", "--end"], "no such portal"),
        (["acme", "--token", "/nowhere/token"], "could not be read"),
    ],
)
def test_what_cannot_be_done_is_told(
    place: Place, monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str
) -> None:
    with pytest.raises(SystemExit, match=told):
        called(monkeypatch, *arguments)


def test_a_stack_of_another_service_is_not_touched(vault: Vault) -> None:
    with pytest.raises(NotDone, match="has no output SecretPrefix"):
        change(Place("a stack", {}, vault.client), "acme", ended)
