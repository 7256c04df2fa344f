"""Access tokens, each beside the lock of its refresh: one holder, never for ever, and nothing of a late one."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from aws.dynamodb import Table
from model.access_token import AccessToken
from model.errors import LedgerUnavailable
from runtime.redaction import redact
from tests.support.fakes import START, Clock
from tokens.access_tokens import AccessTokens

NAME = "portals/default"
SOON = START + timedelta(seconds=20)
LEASE = timedelta(seconds=20)
TOKEN = AccessToken("shh-access-1", START + timedelta(minutes=30), 1_800, ("digest-1", "digest-2"))
NO_MEMORY, MEMORY = timedelta(0), timedelta(minutes=5)


@pytest.fixture
def tokens(table: Table, clock: Clock) -> AccessTokens:
    return AccessTokens(table, clock)


def test_given_a_free_lock_when_two_ask_the_first_has_it(tokens: AccessTokens) -> None:
    assert tokens.lock(NAME, "one", SOON)
    assert not tokens.lock(NAME, "two", SOON)


def test_each_secret_has_a_lock_of_its_own(tokens: AccessTokens) -> None:
    assert tokens.lock(NAME, "one", SOON)
    assert tokens.lock("portals/acme", "two", SOON)


def test_a_holder_that_asks_again_still_has_it(tokens: AccessTokens) -> None:
    tokens.lock(NAME, "one", SOON)

    assert tokens.lock(NAME, "one", SOON)


def test_a_lock_that_was_given_back_is_free(tokens: AccessTokens) -> None:
    tokens.lock(NAME, "one", SOON)
    tokens.unlock(NAME, "one")

    assert tokens.lock(NAME, "two", SOON)


def test_the_lock_of_a_dead_holder_is_free_when_its_time_is_over(tokens: AccessTokens, clock: Clock) -> None:
    tokens.lock(NAME, "dead", SOON)

    clock.advance(20)
    assert not tokens.lock(NAME, "next", SOON + LEASE)
    clock.advance(0.001)
    assert tokens.lock(NAME, "next", SOON + LEASE)


def test_a_late_holder_neither_frees_the_lock_of_the_next_nor_replaces_its_token(
    tokens: AccessTokens, table: Table, clock: Clock
) -> None:
    tokens.lock(NAME, "late", SOON)
    clock.advance(21)
    next_one = AccessTokens(table, clock)
    next_one.lock(NAME, "next", SOON + LEASE)
    next_one.keep(NAME, "next", TOKEN)

    tokens.keep(NAME, "late", dataclasses.replace(TOKEN, text="shh-late"))
    tokens.unlock(NAME, "late")

    assert not AccessTokens(table, clock).lock(NAME, "third", SOON + LEASE)
    assert AccessTokens(table, clock).current(NAME, MEMORY) == TOKEN


def test_a_lock_that_never_was_can_be_given_back(tokens: AccessTokens, table: Table) -> None:
    tokens.unlock(NAME, "one")

    assert table.get(NAME) is None


def test_what_one_keeps_all_others_have_and_nobody_sees_it(tokens: AccessTokens, table: Table, clock: Clock) -> None:
    tokens.lock(NAME, "one", SOON)
    tokens.keep(NAME, "one", TOKEN)

    other = AccessTokens(table, clock)
    assert tokens.current(NAME, MEMORY) == other.current(NAME, MEMORY) == TOKEN
    assert redact(f"refused: {TOKEN.text}") == "refused: ***"
    assert TOKEN.text not in repr(TOKEN)


def test_who_finds_the_lock_taken_sees_the_token_beside_it(tokens: AccessTokens, table: Table, clock: Clock) -> None:
    other = AccessTokens(table, clock)
    assert other.current(NAME, MEMORY) is None
    tokens.lock(NAME, "one", SOON)
    tokens.keep(NAME, "one", TOKEN)

    assert not other.lock(NAME, "two", SOON)
    assert other.current(NAME, MEMORY) == TOKEN

    tokens.unlock(NAME, "one")
    third = AccessTokens(table, clock)
    assert third.lock(NAME, "three", SOON)
    assert third.current(NAME, MEMORY) == TOKEN


def test_a_token_is_read_again_after_five_minutes_or_when_asked(
    tokens: AccessTokens, table: Table, clock: Clock
) -> None:
    tokens.current(NAME, MEMORY)
    other = AccessTokens(table, clock)
    other.lock(NAME, "other", SOON)
    other.keep(NAME, "other", TOKEN)

    clock.advance(299)
    assert tokens.current(NAME, MEMORY) is None
    assert tokens.current(NAME, NO_MEMORY) == TOKEN
    newer = dataclasses.replace(TOKEN, text="shh-newer")
    other.keep(NAME, "other", newer)
    clock.advance(300)
    assert tokens.current(NAME, MEMORY) == newer


def test_an_item_is_deleted_a_day_after_its_last_use(tokens: AccessTokens, table: Table, clock: Clock) -> None:
    tokens.lock(NAME, "one", SOON)
    tokens.keep(NAME, "one", TOKEN)
    clock.advance(5)
    tokens.unlock(NAME, "one")

    item = table.get(NAME)

    assert item is not None
    assert item["expiresAt"] == int(START.timestamp()) + 86_400 + 5
    assert item["token"] == TOKEN.text


class Unreachable:
    def update_item(self, **_: object) -> object:
        raise EndpointConnectionError(endpoint_url="https://dynamodb.test")

    get_item = update_item


def test_without_the_table_nothing_is_locked_and_what_is_known_is_used(clock: Clock) -> None:
    client: Any = Unreachable()
    tokens = AccessTokens(Table(client, "tokens"), clock)

    assert tokens.current(NAME, MEMORY) is None
    with pytest.raises(LedgerUnavailable):
        tokens.lock(NAME, "one", SOON)
    with pytest.raises(LedgerUnavailable):
        tokens.unlock(NAME, "one")
    with pytest.raises(LedgerUnavailable):
        tokens.keep(NAME, "one", TOKEN)
    clock.advance(301)
    assert tokens.current(NAME, MEMORY) == TOKEN
