"""Secrets are taken out of whatever is said, by their value and by their name, and nothing else is."""

from __future__ import annotations

import io
import json
from urllib.parse import quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import redaction
from runtime.redaction import HIDDEN, NAMES, REMEMBERED, redact, remember
from runtime.telemetry import logger
from tests.support.aws import client, clients_secret
from tests.support.vault import Vault

secrets = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=40)
around = st.text(st.characters(min_codepoint=0x400, max_codepoint=0x44F), max_size=20)  # no letter of a secret's


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_remembered", ())


@given(secrets, around, around)
def test_a_secret_is_taken_out_however_it_is_written_and_the_rest_stays(secret: str, before: str, after: str) -> None:
    for written in (secret, json.dumps(secret)[1:-1], quote_plus(secret)):
        assert redact(before + written + after, [secret]) == before + HIDDEN + after


@given(st.sampled_from(NAMES), secrets, st.booleans())
def test_what_stands_under_a_secrets_name_is_taken_out_whoevers_it_is(name: str, secret: str, shout: bool) -> None:
    name = name.upper() if shout else name
    document = {name: secret, "other": "kept"}

    nested = redact(json.dumps({"body": json.dumps({name: "a-token-of-somebody"})}))

    assert "somebody" not in nested
    assert json.loads(redact(json.dumps({name: "a-token-of-somebody", "other": "kept"}))) == {
        name: HIDDEN,
        "other": "kept",
    }
    assert redact(urlencode(document)) == f"{name}={HIDDEN}&other=kept"


def test_a_bearer_token_is_taken_out_wherever_it_stands() -> None:
    said = "Invalid header value: b'Bearer pat-eu1-0123456789', retry"

    assert redact(said) == f"Invalid header value: b'Bearer {HIDDEN}', retry"


@pytest.mark.parametrize(
    "said",
    [
        "BAD_REFRESH_TOKEN: missing or unknown refresh token",
        "store the token as plain text, or JSON with accessToken or, for OAuth, with clientId, clientSecret",
        "send the header Authorization: Bearer <client key>",
        '{"category": "HUBSPOT_DEFINED", "typeId": 3, "label": "Bearer of news"}',
    ],
)
def test_words_about_secrets_stay(said: str) -> None:
    assert redact(said) == said


def test_what_is_remembered_is_taken_out_of_every_log_line_and_of_exceptions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", written)
    remember(["pat-eu1-remembered", "short"])

    try:
        raise ValueError("no header: pat-eu1-remembered")
    except ValueError as error:
        logger.exception("unexpected failure", exc_info=error, detail={"nested": ["pat-eu1-remembered"]})
    logger.info("a short line")

    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert "pat-eu1" not in json.dumps(lines)
    assert lines[0]["detail"] == {"nested": [HIDDEN]}
    assert lines[1]["message"] == "a short line"


def test_what_is_remembered_is_bounded_and_the_oldest_goes_first() -> None:
    remember(f"secret-number-{number}" for number in range(REMEMBERED + 1))
    remember([f"secret-number-{REMEMBERED}"])

    assert redact("secret-number-0.") == "secret-number-0."
    assert redact("secret-number-1.") == f"{HIDDEN}."
    assert len(redaction._remembered) == REMEMBERED


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("pat-eu1-plain-token\n", ["pat-eu1-plain-token"]),
        (
            json.dumps({"accessToken": "access-0123", "clientId": "public-id", "clientSecret": "client-0123"}),
            ["access-0123", "client-0123"],
        ),
        (json.dumps({"appSecret": "app-0123456", "hubId": 123456789}), ["app-0123456"]),
    ],
)
def test_a_secret_that_was_read_is_seen_nowhere_from_then_on(vault: Vault, text: str, values: list[str]) -> None:
    vault.store.current(vault.put("portal", text))

    for value in values:
        assert redact(f"<{value}>") == f"<{HIDDEN}>"
    assert redact("public-id 123456789") == "public-id 123456789"


def test_of_the_clients_nothing_is_taken_out(vault: Vault) -> None:
    vault.store.current(vault.put("clients", clients_secret(client("revops-team"))))

    assert redact("settled for revops-team") == "settled for revops-team"
