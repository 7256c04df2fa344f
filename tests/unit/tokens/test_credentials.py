"""What a portal's secret may hold, and what becomes of it after a refresh."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws.secrets_manager import Secret
from model.access_token import AccessToken, RefreshedToken
from model.records import iso
from tests.support.fakes import START
from tokens.credentials import Credentials, Unusable, parse

OAUTH = {"clientId": "client-1", "clientSecret": "shh-client", "refreshToken": "shh-refresh"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def of(text: str | dict[str, Any]) -> Credentials:
    return parse(text if isinstance(text, str) else json.dumps(text), "v1")


@pytest.mark.parametrize("text", ["pat-1", " pat-1\n", '{"accessToken": "pat-1"}', '\n{"accessToken": " pat-1 "}'])
def test_a_static_token_is_plain_text_or_json(text: str) -> None:
    credentials = of(text)

    assert credentials.access_token == "pat-1"
    assert credentials.oauth is None
    assert credentials.serves(START, refused="pat-1")


def test_a_token_may_be_long() -> None:
    assert of("x" * 2_000).access_token == "x" * 2_000


def test_an_account_can_be_named_beside_any_token() -> None:
    assert of({"accessToken": "pat-1", "hubId": 7}).hub_id == 7
    assert of({**OAUTH, "hubId": 7}).hub_id == 7
    assert of({"accessToken": "pat-1", "hubId": None}).hub_id is None


@pytest.mark.parametrize(
    ("document", "wrong"),
    [
        ({}, "store the token as plain text"),
        ({"placeholder": "x"}, "store the token as plain text"),
        ({"accessToken": "shh shh"}, "store the token as plain text"),
        ({"accessToken": "shh", "hubId": "7"}, "hubId must be a whole number"),
        ({"accessToken": "shh", "hubId": True}, "hubId must be a whole number"),
        ({**OAUTH, "clientSecret": None}, "for OAuth it also needs clientSecret"),
        ({"accessToken": "shh", "refreshToken": "shh-refresh"}, "needs clientId; for OAuth it also needs clientSecret"),
        ({**OAUTH, "refreshToken": 5}, "for OAuth it also needs refreshToken"),
        ({**OAUTH, "expiresAt": "tomorrow"}, "expiresAt must be a time"),
        ({**OAUTH, "expiresAt": 1_795_000_000_000}, "expiresAt must be a time"),  # milliseconds
        ({**OAUTH, "expiresAt": True}, "expiresAt must be a time"),
        ({**OAUTH, "expiresAt": float("nan")}, "expiresAt must be a time"),
        ({**OAUTH, "hubId": "x", "expiresAt": []}, "hubId must be a whole number; expiresAt must be a time"),
    ],
)
def test_all_that_is_wrong_is_told_and_nothing_of_it_shown(document: dict[str, Any], wrong: str) -> None:
    with pytest.raises(Unusable) as caught:
        of(document)
    assert wrong in str(caught.value)
    assert "shh" not in str(caught.value)
    assert caught.value.__context__ is None  # an error of json's would hold the whole text


@given(st.text(max_size=20) | JSON.map(json.dumps))
def test_no_text_makes_more_of_parse_than_credentials_or_unusable(text: str) -> None:
    try:
        credentials = of(text)
    except Unusable:
        return
    assert credentials.access_token
    assert repr(credentials).startswith("<")


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-23T10:00:00Z",
        "2026-11-23T10:00:00.000Z",
        "2026-11-23T11:00:00+01:00",
        "2026-11-23T10:00:00",
        1_795_428_000,
        1_795_428_000.0,
    ],
)
def test_an_expiry_is_read_in_iso_8601_or_epoch_seconds(written: object) -> None:
    assert of({**OAUTH, "accessToken": "a", "expiresAt": written}).expires_at == START + timedelta(hours=1)


@pytest.mark.parametrize("year", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_any_year_can_be_compared(year: str) -> None:
    assert of({**OAUTH, "accessToken": "a", "expiresAt": year}).serves(START) is year.startswith("9")


def oauth(seconds: float, **more: Any) -> Credentials:
    """An app whose access token has so many seconds left."""
    return of({**OAUTH, "accessToken": "a", "expiresAt": iso(START + timedelta(seconds=seconds)), **more})


@pytest.mark.parametrize(
    ("credentials", "serves", "lasts"),
    [
        (oauth(301), True, True),
        (oauth(300), False, True),
        (oauth(5.001), False, True),
        (oauth(5), False, False),
        (oauth(-1), False, False),
        (oauth(6, expiresIn=10), True, True),
        (oauth(5, expiresIn=10), False, False),
        (oauth(301, expiresIn=1_800), True, True),
        (oauth(300, expiresIn=1_800), False, True),
        (oauth(1, expiresIn=-5), False, False),
        (of({**OAUTH, "accessToken": "a"}), True, True),
        (of(OAUTH), False, False),
    ],
)
def test_a_token_serves_until_five_minutes_or_half_its_life_are_left(
    credentials: Credentials, serves: bool, lasts: bool
) -> None:
    assert (credentials.serves(START), credentials.lasts(START)) == (serves, lasts)
    assert not credentials.lasts(START, refused="a")


@given(st.dictionaries(st.text(max_size=12), JSON, max_size=5))
def test_another_refresh_token_changes_nothing_else(unknown: dict[str, Any]) -> None:
    stored = {**unknown, **OAUTH, "hubId": 7, "expiresAt": None}

    renewed = of(stored).renewed("rotated")

    assert json.loads(renewed.text) == {**stored, "refreshToken": "rotated"}
    assert renewed.version == "v1"


def token(seconds: float, *grants: str) -> AccessToken:
    """An access token that has so many seconds left."""
    return AccessToken("new", START + timedelta(seconds=seconds), 10, grants)


BEFORE = oauth(10)


def test_the_token_of_a_refresh_counts_however_long_the_one_before_would_last() -> None:
    assert BEFORE.having(token(1, BEFORE.grant)).access_token == "new"
    assert BEFORE.having(token(1, "another", BEFORE.grant)).having(token(2, BEFORE.grant)).access_token == "new"
    assert BEFORE.having(token(6, BEFORE.grant)).serves(START)  # its margin follows from its life of ten seconds
    assert not BEFORE.having(token(5, BEFORE.grant)).serves(START)


@pytest.mark.parametrize(
    "changed", [{"accessToken": "b"}, {"refreshToken": "shh-other"}, {"clientId": "client-2"}, {"accessToken": None}]
)
def test_what_the_owner_stores_after_it_counts_more_than_the_token_of_a_refresh(changed: dict[str, Any]) -> None:
    after = oauth(10, **changed)

    assert after.having(token(1_800, BEFORE.grant)) is after
    assert after.having(None) is after
    assert oauth(10, hubId=7, clientSecret="shh-new").having(token(1_800, BEFORE.grant)).access_token == "new"


def test_nothing_secret_is_in_a_repr() -> None:
    credentials = oauth(1)

    shown = repr((credentials, credentials.oauth, Secret("shh", "v1"), RefreshedToken("shh", 1, "shh")))

    assert "shh" not in shown
    assert "client-1" not in shown
