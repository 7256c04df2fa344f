"""A portal's token: found in its secret, of the right account, and never shown."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from model.errors import HubSpotFailure, Misconfigured, Refused, Unavailable
from tests.support.tokens import PASSING, PORTAL, Scene, expiring


@pytest.mark.parametrize("secret", ["pat-1", " pat-1\n", '{"accessToken": "pat-1"}'])
def test_a_token_is_plain_text_or_json(scene: Scene, secret: str) -> None:
    scene.put(secret)

    assert scene.bearer() == "pat-1"
    assert not scene.oauth.asked
    assert not scene.oauth.checked


@pytest.mark.parametrize(
    "text", ["{", "{}", '{"accessToken": ""}', '{"accessToken": 5}', '{"placeholder": "x"}', "a b", "tök", "a\nb", " "]
)
def test_a_secret_without_a_usable_token_is_named_and_not_shown(scene: Scene, text: str) -> None:
    scene.put(text)

    message = scene.fails(Misconfigured).message

    assert f"the secret {scene.secret} holds no usable token: store the token as plain text" in message
    assert text not in message.replace(scene.secret, "") or not text.strip()


def test_a_secret_can_name_the_accounts_time_zone(scene: Scene) -> None:
    assert scene.tokens.zone(PORTAL) is None
    scene.put({"accessToken": "pat-1", "timeZone": "Europe/Berlin"})
    scene.bearer()

    assert scene.tokens.zone(PORTAL) == ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize("zone", ["", "Mars/Base", "../etc/passwd", 1, True])
def test_a_time_zone_that_is_none_is_told(scene: Scene, zone: object) -> None:
    scene.put({"accessToken": "pat-1", "timeZone": zone})

    assert "timeZone must be an IANA name such as Europe/Berlin" in scene.fails(Misconfigured).message


def test_each_portal_has_its_own_secret(scene: Scene) -> None:
    scene.put("one")
    scene.put("two", "acme")

    assert (scene.tokens.bearer("default", 30), scene.tokens.bearer("acme", 30)) == ("one", "two")
    assert scene.tokens.secret_name("acme") == f"{scene.prefix}/acme"


def test_a_token_is_remembered_for_five_minutes_and_fetched_after_it_was_refused(scene: Scene) -> None:
    scene.put("first")
    scene.bearer()
    scene.put("second")

    scene.clock.advance(299)
    assert scene.bearer() == "first"
    assert scene.bearer(fresh=True) == "second"
    assert scene.bearer() == "second"


def test_a_static_token_that_was_refused_and_is_unchanged_is_given_again(scene: Scene) -> None:
    scene.put("only")

    assert scene.bearer() == scene.bearer(fresh=True) == "only"


def test_a_missing_secret_is_at_fault_for_the_whole_portal(scene: Scene) -> None:
    assert scene.secret in scene.fails(Misconfigured).message


def test_a_placeholder_is_replaced_by_a_token_within_seconds(scene: Scene) -> None:
    scene.put("{}")
    scene.fails(Misconfigured)
    scene.put("pat-1")

    scene.clock.advance(3)

    assert scene.bearer() == "pat-1"


def test_the_account_is_asked_for_once_and_not_again_after_a_refresh(scene: Scene) -> None:
    scene.put(expiring(301, hubId=7))

    assert scene.bearer() == scene.bearer() == "shh-old"
    scene.clock.advance(10)
    assert scene.bearer() == "shh-new-1"

    assert scene.oauth.checked == ["shh-old"]
    scene.worker().bearer(PORTAL, 30)
    assert scene.oauth.checked == ["shh-old", "shh-new-1"]  # another worker's cold start


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"accessToken": "a", "hubId": 7}, {"accessToken": "b", "hubId": 7}),
        ({"accessToken": "a", "hubId": 7}, {"accessToken": "a", "hubId": 8}),
        ({"accessToken": "a"}, {"accessToken": "a", "hubId": 7}),
        (expiring(1_000, hubId=7), expiring(1_000, hubId=7, refreshToken="shh-other")),
    ],
)
def test_the_account_is_asked_for_again_when_token_or_account_change(
    scene: Scene, old: dict[str, Any], new: dict[str, Any]
) -> None:
    scene.put(old)
    scene.bearer()
    asked = len(scene.oauth.checked)
    scene.put(new)
    scene.oauth.account = new["hubId"]
    scene.clock.advance(300)

    assert scene.bearer() == new["accessToken"]
    assert len(scene.oauth.checked) == asked + 1


@pytest.mark.parametrize("secret", [{"accessToken": "shh-1", "hubId": 8}, expiring(1_000, hubId=8)])
def test_a_token_of_another_account_is_never_given_out(scene: Scene, secret: dict[str, Any]) -> None:
    scene.put(secret)

    failure = scene.fails(Misconfigured)
    assert f"the token in the secret {scene.secret} belongs to HubSpot account 7, not to 8" in failure.message
    scene.fails(Misconfigured)
    scene.fails(Misconfigured, fresh=True)
    assert len(scene.oauth.checked) == 1  # it is of that account for good

    scene.put({"accessToken": "shh-right", "hubId": 7})
    scene.clock.advance(3)
    assert scene.bearer() == "shh-right"


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        *((failing, Unavailable) for failing in PASSING),
        (Misconfigured("words", http_status=403), Misconfigured),
        (Refused("words", http_status=404), Misconfigured),
    ],
)
def test_a_token_of_an_unknown_account_is_not_given_out(
    scene: Scene, said: HubSpotFailure, kind: type[HubSpotFailure]
) -> None:
    scene.put({"accessToken": "shh-1", "hubId": 7})
    scene.oauth.accounts = [said]

    failure = scene.fails(kind)

    assert scene.secret in failure.message
    assert failure.retry_after == said.retry_after
    scene.clock.advance(30)
    assert scene.bearer() == "shh-1"


def test_a_401_to_the_question_for_the_account_is_like_any_401(scene: Scene) -> None:
    scene.put(expiring(1_000, hubId=7))
    scene.oauth.accounts = [Misconfigured("words", http_status=401)]

    assert scene.bearer() == "shh-new-1"
    assert scene.oauth.checked == ["shh-old", "shh-new-1"]


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("secret", [{"accessToken": "shh-1", "hubId": 7}, expiring(1_000, hubId=7)])
def test_a_second_401_to_the_question_for_the_account_is_the_owners_to_mend(
    scene: Scene, secret: dict[str, Any], fresh: bool
) -> None:
    scene.put(secret)
    scene.oauth.accounts = [Misconfigured("words", http_status=401)] * 2

    assert scene.secret in scene.fails(Misconfigured, fresh=fresh).message
    scene.fails(Misconfigured)
    assert len(scene.oauth.checked) == (1 if fresh else 2)
