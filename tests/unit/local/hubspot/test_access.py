"""Who may call the stand-in, and how often."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.hubspot.access import WINDOW_SECONDS, CallQuota, IssuedToken, Token, Tokens, admit, require_scopes
from local.hubspot.answers import HubSpotError
from local.hubspot.settings import Settings

MIDNIGHT = 1_800_057_600.0  # 2027-01-16T00:00:00Z
TOKEN = Token(name="default", token="secret-one")
OTHER_APP = Token(name="other", token="secret-two")
OTHER_ACCOUNT = Token.of({"name": "acme", "token": "secret-three", "hubId": 2})


def issued(name: str, token: str, client_id: str = "app") -> IssuedToken:
    """An access token that ends a minute after midnight."""
    return IssuedToken(name=name, token=token, client_id=client_id, expires_at=MIDNIGHT + 60)


def settings(**changes: object) -> Settings:
    return Settings().changed(changes)


@pytest.mark.parametrize("header", ["Bearer secret-one", "bearer secret-one", "BEARER  secret-one "])
def test_a_bearer_header_names_its_token(header: str) -> None:
    assert Tokens([TOKEN, OTHER_APP]).named_by(header) == TOKEN


@pytest.mark.parametrize("header", ["", "secret-one", "Bearer", "Bearer secret-onE", "Basic secret-one"])
def test_any_other_header_names_none(header: str) -> None:
    assert Tokens([TOKEN]).named_by(header) is None


def test_two_names_cannot_share_a_token_but_a_name_can_change_its_own() -> None:
    tokens = Tokens([TOKEN, OTHER_APP])
    tokens.add(Token(name="default", token="secret-new"))
    with pytest.raises(ValueError, match="another name"):
        tokens.add(Token(name="third", token="secret-new"))
    assert [token.token for token in tokens] == ["secret-new", "secret-two"]
    assert tokens.named_by("Bearer secret-one") is None


def test_a_token_given_up_is_free_for_another_name() -> None:
    tokens = Tokens([TOKEN])
    tokens.add(Token(name="default", token="secret-new"))
    tokens.add(Token(name="third", token="secret-one"))
    named = tokens.named_by("Bearer secret-one")
    assert named is not None
    assert named.name == "third"


def test_a_forgotten_token_is_unknown_but_not_one_that_has_taken_its_name() -> None:
    tokens, later = Tokens([TOKEN, OTHER_APP]), Token(name="other", token="secret-new")
    tokens.add(later)
    tokens.forget(TOKEN)
    tokens.forget(OTHER_APP)
    assert list(tokens) == [later]
    assert tokens.named_by("Bearer secret-one") is None
    assert tokens.named_by("Bearer secret-new") == later


@pytest.mark.parametrize(
    ("state", "status", "category"),
    [
        ("unknown", 401, "INVALID_AUTHENTICATION"),
        ("expired", 401, "EXPIRED_AUTHENTICATION"),
        ("missingScope", 403, "MISSING_SCOPES"),
    ],
)
def test_a_token_is_refused_according_to_its_state(state: str, status: int, category: str) -> None:
    token = Token.of({"name": "x", "token": "y", "state": state})
    with pytest.raises(HubSpotError) as refusal:
        require_scopes(admit(token, MIDNIGHT), "map")
    assert (refusal.value.status, refusal.value.category) == (status, category)


def test_an_issued_token_is_accepted_until_it_expires() -> None:
    token = issued("oauth-app-1", "secret-four")

    assert admit(token, MIDNIGHT + 59.9) == token
    with pytest.raises(HubSpotError) as refusal:
        admit(token, MIDNIGHT + 60)
    assert (refusal.value.status, refusal.value.category) == (401, "EXPIRED_AUTHENTICATION")


def test_a_token_is_never_shown() -> None:
    assert "secret-one" not in f"{TOKEN!r}{TOKEN.described()}"
    assert issued("oauth-app-1", "secret-four").described()["expiresAt"] == "2027-01-16T00:01:00.000Z"
    assert "secret-four" not in f"{issued('x', 'secret-four')!r}{issued('x', 'secret-four').described()}"


@given(st.lists(st.floats(0, 6), max_size=60), st.integers(0, 5))
def test_no_ten_seconds_ever_see_more_calls_than_the_limit(gaps: list[float], limit: int) -> None:
    quota, rules, moment = CallQuota(), settings(tenSecondlyLimit=limit), MIDNIGHT
    taken: list[float] = []
    for gap in gaps:
        moment += gap
        if quota.take(TOKEN, moment, rules) is None:
            taken.append(moment)
        else:
            assert len([at for at in taken if at > moment - WINDOW_SECONDS]) == limit

    windows = [taken[at : at + limit + 1] for at in range(len(taken) - limit)]
    assert all(window[-1] - window[0] >= WINDOW_SECONDS for window in windows)
    assert all(earlier <= later for earlier, later in pairwise(taken))


def test_apps_have_windows_of_their_own_and_share_the_day_of_their_account() -> None:
    quota, rules = CallQuota(), settings(tenSecondlyLimit=1, dailyLimit=2)

    assert quota.take(TOKEN, MIDNIGHT, rules) is None
    assert quota.take(TOKEN, MIDNIGHT, rules) == "TEN_SECONDLY_ROLLING"
    assert quota.take(OTHER_APP, MIDNIGHT, rules) is None
    assert quota.take(TOKEN, MIDNIGHT + 20, rules) == "DAILY"
    assert quota.take(OTHER_ACCOUNT, MIDNIGHT + 20, rules) is None


def test_the_tokens_of_an_oauth_app_share_its_window() -> None:
    quota, rules = CallQuota(), settings(tenSecondlyLimit=1)

    assert quota.take(issued("oauth-app-1", "a"), MIDNIGHT, rules) is None
    assert quota.take(issued("oauth-app-2", "b"), MIDNIGHT, rules) == "TEN_SECONDLY_ROLLING"
    assert quota.take(issued("oauth-other-1", "c", "other"), MIDNIGHT, rules) is None


def test_the_day_ends_at_midnight_in_the_time_zone_of_the_account() -> None:
    quota, rules = CallQuota(), settings(dailyLimit=1, utcOffsetMinutes=-5 * 60)

    assert quota.take(TOKEN, MIDNIGHT - 1, rules) is None
    assert quota.take(TOKEN, MIDNIGHT + 4 * 3600, rules) == "DAILY"
    assert quota.take(TOKEN, MIDNIGHT + 5 * 3600, rules) is None


def test_without_a_ten_secondly_limit_the_calls_are_exempt_and_its_headers_are_not_sent() -> None:
    quota, rules = CallQuota(), settings(tenSecondlyLimit=None, dailyLimit=500)

    assert {quota.take(TOKEN, MIDNIGHT, rules) for _ in range(400)} == {None}
    assert quota.headers(TOKEN, MIDNIGHT, rules) == {
        "X-HubSpot-RateLimit-Daily": "500",
        "X-HubSpot-RateLimit-Daily-Remaining": "100",
    }


def test_the_headers_count_down_and_recover() -> None:
    quota, rules = CallQuota(), settings(tenSecondlyLimit=3)
    quota.take(TOKEN, MIDNIGHT, rules)
    quota.take(TOKEN, MIDNIGHT + 1, rules)

    remaining = "X-HubSpot-RateLimit-Remaining"
    assert quota.headers(TOKEN, MIDNIGHT + 1, rules)[remaining] == "1"
    assert quota.headers(TOKEN, MIDNIGHT + WINDOW_SECONDS, rules)[remaining] == "2"
    assert quota.headers(TOKEN, MIDNIGHT + WINDOW_SECONDS + 1, rules)[remaining] == "3"
    assert quota.headers(TOKEN, MIDNIGHT, settings(rateLimitHeaders="omit")) == {}
