"""The refresh of an OAuth token: in time, no more often than needed, and what becomes of one that fails."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from model.access_token import RefreshedToken
from model.errors import HubSpotFailure, Misconfigured, PortalEnded, QuotaExhausted, Unavailable
from tests.support.tokens import APP, PASSING, PORTAL, Scene, expiring
from tokens.access_tokens import AccessTokens


@pytest.mark.parametrize("secret", [expiring(301), {**APP, "accessToken": "shh-old"}])
def test_given_a_token_that_is_valid_or_of_unknown_expiry_nothing_is_refreshed(
    scene: Scene, secret: dict[str, Any]
) -> None:
    scene.put(secret)

    assert scene.bearer() == "shh-old"
    assert scene.oauth.asked == []


@pytest.mark.parametrize("secret", [expiring(300), expiring(-1), dict(APP)], ids=["near its end", "over", "none yet"])
def test_a_token_is_refreshed_before_it_ends_and_the_secret_stays_as_it_is(
    scene: Scene, secret: dict[str, Any]
) -> None:
    owners = {**secret, "hubId": 7, "note": ["the owner's", {"own": 1}]}
    scene.put(owners)

    assert scene.bearer() == scene.bearer() == "shh-new-1"

    assert scene.oauth.asked == [("client-1", "shh-client", "shh-refresh")]
    assert scene.stored == owners
    assert scene.worker().bearer(PORTAL, 30) == "shh-new-1"
    assert len(scene.oauth.asked) == 1


def test_a_token_of_ten_seconds_is_used_for_five(scene: Scene) -> None:
    scene.put(APP)
    scene.oauth.script = [RefreshedToken("shh-short", 10, None)]

    used = []
    for _ in range(6):
        used.append(scene.bearer())
        scene.clock.advance(1)

    assert used == ["shh-short"] * 5 + ["shh-new-2"]


def test_a_rotated_refresh_token_is_kept_and_used_next(scene: Scene) -> None:
    scene.put(APP)
    scene.oauth.script = [RefreshedToken("shh-1", 1_800, "shh-rotated"), RefreshedToken("shh-2", 1_800, None)]

    scene.bearer()
    scene.clock.advance(1_500)
    assert scene.bearer() == "shh-2"

    assert [refresh_token for _, _, refresh_token in scene.oauth.asked] == ["shh-refresh", "shh-rotated"]
    assert scene.stored == {**APP, "refreshToken": "shh-rotated"}
    assert scene.worker().bearer(PORTAL, 30) == "shh-2"


def test_who_still_has_the_old_refresh_token_uses_what_it_brought(scene: Scene) -> None:
    scene.put(expiring(310))
    other = scene.worker()
    other.bearer(PORTAL, 30)
    scene.oauth.script = [RefreshedToken("shh-1", 1_800, "shh-rotated")]
    scene.clock.advance(10)
    scene.bearer()

    assert other.bearer(PORTAL, 30) == "shh-1"
    assert len(scene.oauth.asked) == 1


def test_the_same_refresh_token_again_is_not_stored(scene: Scene) -> None:
    scene.put(APP)
    scene.oauth.script = [RefreshedToken("shh-1", 1_800, APP["refreshToken"])]

    assert scene.bearer() == "shh-1"
    assert scene.stored == APP


def test_refreshes_that_may_replace_the_refresh_token_are_paced_and_no_others(scene: Scene) -> None:
    scene.put(APP)
    scene.oauth.script = [
        RefreshedToken(f"shh-{n}", 1_800, rotated) for n, rotated in enumerate([None, "shh-r", "shh-s"])
    ]
    paced = []
    for _ in range(4):
        scene.bearer()
        paced.append(len(scene.pace.told))
        scene.clock.advance(1_600)

    assert paced == [1, 1, 2, 3]  # nothing is known of the first; the second is like it, and brings another
    assert set(scene.pace.told) == {("wait", "#refreshes", 1, True)}


def test_a_wait_for_ones_turn_takes_nothing_from_the_lease_and_sees_what_came_meanwhile(scene: Scene) -> None:
    scene.put(expiring(-1))

    def slow(*_: object, **__: object) -> None:
        scene.clock.advance(15)
        scene.put({**APP, "refreshToken": "shh-corrected"})

    scene.pace.reserve = slow  # type: ignore[method-assign] # of this one only
    taken = []

    def granted() -> RefreshedToken:
        scene.clock.advance(10)
        taken.append(AccessTokens(scene.table, scene.clock).lock(scene.secret, "another", scene.clock()))
        return RefreshedToken("shh-1", 1_800, None)

    scene.oauth.script = [granted]

    assert scene.bearer(seconds=60) == "shh-1"
    assert scene.oauth.asked[0][2] == "shh-corrected"
    assert taken == [False]


@pytest.mark.parametrize(("seconds", "longest"), [(60, 10), (9, 6), (4, 1)])
def test_a_wait_for_ones_turn_leaves_time_for_the_refresh(scene: Scene, seconds: float, longest: float) -> None:
    scene.put(expiring(-1))
    until: list[timedelta] = []
    scene.pace.reserve = lambda *_, **told: until.append(told["until"] - scene.clock())  # type: ignore[method-assign] # of this one only

    scene.bearer(seconds=seconds)

    assert until == [timedelta(seconds=longest)]


def test_who_loses_the_lock_while_waiting_for_a_turn_does_not_refresh(scene: Scene) -> None:
    scene.put(expiring(-1))

    def slow(*_: object, **__: object) -> None:
        scene.clock.advance(21)
        assert AccessTokens(scene.table, scene.clock).lock(
            scene.secret, "another", scene.clock() + timedelta(seconds=20)
        )

    scene.pace.reserve = slow  # type: ignore[method-assign] # of this one only

    assert "another worker refreshes" in scene.fails(Unavailable, seconds=60).message
    assert not scene.oauth.asked


def test_a_portal_that_is_ended_while_its_token_is_to_be_refreshed_gets_none(scene: Scene) -> None:
    scene.put(expiring(310))
    scene.bearer()
    scene.clock.advance(20)
    scene.put({**APP, "ended": True})

    assert "has been ended" in scene.fails(PortalEnded).message
    assert not scene.oauth.asked


def test_more_refreshes_than_secrets_manager_could_store_wait(scene: Scene) -> None:
    scene.put(APP)

    def full(*_: object, **__: object) -> None:
        raise QuotaExhausted("all taken", retry_after=7.0)

    scene.pace.reserve = full  # type: ignore[method-assign] # of this one only

    failure = scene.fails(Unavailable)

    assert "more are than Secrets Manager could store" in failure.message
    assert failure.retry_after == 7.0
    assert not scene.oauth.asked


def test_a_refused_token_is_refreshed_once_however_long_it_seemed_to_last(scene: Scene) -> None:
    scene.put(expiring(1_000))
    scene.bearer()

    assert scene.bearer(fresh=True) == "shh-new-1"
    assert scene.bearer() == "shh-new-1"
    assert len(scene.oauth.asked) == 1


def test_a_refused_token_that_another_has_refreshed_is_not_refreshed_again(scene: Scene) -> None:
    scene.put(expiring(1_000))
    scene.bearer()
    scene.put(expiring(1_000, accessToken="shh-theirs"))

    assert scene.bearer(fresh=True) == "shh-theirs"
    assert scene.oauth.asked == []


def test_a_remembered_token_near_its_end_that_another_has_refreshed_is_not_refreshed_again(scene: Scene) -> None:
    scene.put(expiring(400))
    scene.bearer()
    scene.put(expiring(1_800, accessToken="shh-theirs"))
    scene.clock.advance(100)

    assert scene.bearer() == "shh-theirs"
    assert scene.oauth.asked == []


def test_the_refresh_fits_the_time_that_is_left(scene: Scene) -> None:
    scene.put(APP)
    assert "no time was left" in scene.fails(Unavailable, seconds=3).message

    scene.bearer(seconds=8)
    assert scene.oauth.seconds == 8
    scene.bearer(fresh=True, seconds=30)
    assert scene.oauth.seconds == 10


REFUSALS = ["BAD_REFRESH_TOKEN", "BAD_CLIENT_ID", "BAD_CLIENT_SECRET", "BAD_HUB"]


def refusal(status: str = "BAD_REFRESH_TOKEN") -> Misconfigured:
    """As HubSpot.refresh raises it."""
    return Misconfigured(f"{status}, invalid_grant: words", http_status=400, body="{}", correlation_id="c-9")


@pytest.mark.parametrize("status", REFUSALS)
def test_a_refused_refresh_names_portal_secret_and_reason(scene: Scene, status: str) -> None:
    scene.put(expiring(60))
    scene.oauth.script = [refusal(status)]

    failure = scene.fails(Misconfigured)

    assert failure.message == (
        f"HubSpot refused to refresh the token of portal {PORTAL} with the secret {scene.secret}:"
        f" {status}, invalid_grant: words"
    )
    assert failure.correlation_id == "c-9"


def test_a_refusal_is_remembered_for_half_a_minute(scene: Scene) -> None:
    scene.put(expiring(-1))
    scene.oauth.script = [refusal(), refusal()]

    first = scene.fails(Misconfigured)
    for fresh in (False, True) * 5:
        scene.clock.advance(2)
        again = scene.fails(Misconfigured, fresh=fresh)
        assert again is not first
        assert (again.message, again.correlation_id) == (first.message, "c-9")
    assert len(scene.oauth.asked) == 1

    scene.clock.advance(10)
    scene.fails(Misconfigured)
    assert len(scene.oauth.asked) == 2


@pytest.mark.parametrize("mended", ["shh-static", {**APP, "refreshToken": "shh-mended"}])
def test_a_mended_secret_is_used_within_seconds(scene: Scene, mended: str | dict[str, Any]) -> None:
    scene.put(expiring(-1))
    scene.oauth.script = [refusal()]
    scene.fails(Misconfigured)
    scene.put(mended)

    scene.clock.advance(3)

    assert scene.bearer() == ("shh-static" if mended == "shh-static" else "shh-new-2")


def test_a_mended_secret_is_used_at_once_after_a_401(scene: Scene) -> None:
    scene.put(expiring(1_000))
    scene.bearer()
    scene.oauth.script = [refusal()]
    scene.fails(Misconfigured, fresh=True)
    scene.put("shh-static")

    assert scene.bearer(fresh=True) == "shh-static"


@pytest.mark.parametrize("failing", PASSING)
def test_a_refresh_that_fails_for_now_is_unavailable(scene: Scene, failing: HubSpotFailure) -> None:
    scene.put(expiring(-1))
    scene.oauth.script = [failing]

    failure = scene.fails(Unavailable)

    assert PORTAL in failure.message
    assert (failure.retry_after, failure.daily) == (failing.retry_after, failing.daily)
    assert failure.correlation_id == failing.correlation_id
    scene.clock.advance(30)
    assert scene.bearer() == "shh-new-2"


@pytest.mark.parametrize("failing", PASSING)
def test_a_token_that_still_lasts_is_used_while_the_refresh_fails(scene: Scene, failing: HubSpotFailure) -> None:
    scene.put(expiring(60))
    scene.oauth.script = [failing]

    assert scene.bearer() == scene.bearer() == "shh-old"
    assert len(scene.oauth.asked) == 1  # HubSpot is left alone for a while

    scene.clock.advance(30)
    assert scene.bearer() == "shh-new-2"


def test_a_refused_token_is_not_used_while_the_refresh_fails(scene: Scene) -> None:
    scene.put(expiring(1_000))
    scene.bearer()
    scene.oauth.script = [Unavailable("words")]

    scene.fails(Unavailable, fresh=True)
