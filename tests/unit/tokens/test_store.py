"""A new refresh token goes into the secret: never over an owner's correction, and never lost."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from model.access_token import RefreshedToken
from model.errors import LedgerUnavailable, Misconfigured, Unavailable
from tests.support.tokens import APP, PORTAL, Lines, Scene, expiring
from tokens.access_tokens import AccessTokens

if TYPE_CHECKING:
    from types_boto3_secretsmanager import SecretsManagerClient


def test_an_owners_correction_during_a_refresh_is_used_and_not_overwritten(scene: Scene) -> None:
    scene.put(expiring(-1))
    correction = expiring(1_800, refreshToken="shh-corrected", accessToken="shh-correct")

    def granted() -> RefreshedToken:
        scene.put(correction)
        return RefreshedToken("shh-late", 1_800, "shh-late")

    scene.oauth.script = [granted]

    assert scene.bearer() == "shh-correct"
    assert scene.stored == correction


def test_an_owners_correction_that_itself_needs_a_refresh_is_refreshed(scene: Scene) -> None:
    scene.put(expiring(-1))

    def granted() -> RefreshedToken:
        scene.put({**APP, "refreshToken": "shh-corrected"})
        return RefreshedToken("shh-late", 1_800, "shh-late")

    scene.oauth.script = [granted]

    assert scene.bearer() == "shh-new-2"
    assert scene.stored["refreshToken"] == "shh-corrected"


def test_an_owners_change_of_something_else_is_joined_with_the_refresh(scene: Scene) -> None:
    scene.put(expiring(-1))

    def granted() -> RefreshedToken:
        scene.put(expiring(-1, hubId=7))
        return RefreshedToken("shh-1", 1_800, "shh-rotated")

    scene.oauth.script = [granted]

    assert scene.bearer() == "shh-1"
    assert (scene.stored["hubId"], scene.stored["refreshToken"]) == (7, "shh-rotated")
    assert len(scene.oauth.asked) == 1


def test_an_owner_who_breaks_the_secret_during_a_refresh_is_told(scene: Scene) -> None:
    scene.put(expiring(-1))

    def granted() -> RefreshedToken:
        scene.put("{}")
        return RefreshedToken("shh-1", 1_800, "shh-rotated")

    scene.oauth.script = [granted]

    assert "holds no usable token" in scene.fails(Misconfigured).message


def test_a_secret_that_never_stands_still_is_left_for_later(scene: Scene) -> None:
    scene.put(APP)
    numbers = itertools.count()

    def granted() -> RefreshedToken:
        scene.put({**APP, "refreshToken": f"shh-{next(numbers)}"})
        return RefreshedToken("shh-1", 1_800, "shh-rotated")

    scene.oauth.script = [granted, granted]

    assert "was changed each time" in scene.fails(Unavailable).message


class Unwritable:
    """Secrets Manager for a role that may not write."""

    def __init__(self, client: SecretsManagerClient) -> None:
        self.client = client
        self.writable = False
        self.refused = 0

    def get_secret_value(self, **asked: Any) -> Any:
        return self.client.get_secret_value(**asked)

    def put_secret_value(self, **asked: Any) -> Any:
        if self.writable:
            return self.client.put_secret_value(**asked)
        self.refused += 1
        raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "PutSecretValue")

    def update_secret_version_stage(self, **asked: Any) -> Any:
        return self.client.update_secret_version_stage(**asked)


def test_a_refresh_that_cannot_be_written_is_used_from_memory_and_written_later(scene: Scene, logged: Lines) -> None:
    scene.put(expiring(-1))
    client = Unwritable(scene.client)
    scene.tokens = scene.worker(client)
    scene.oauth.script = [RefreshedToken("shh-1", 1_800, "shh-rotated")]

    assert scene.bearer() == scene.bearer() == "shh-1"
    assert scene.stored == expiring(-1)
    fields = {
        "secret": scene.secret,
        "reason": f"the secret {scene.secret} could not be written (AccessDeniedException)",
    }
    assert logged == [("a refresh token could not be stored", fields)]

    scene.clock.advance(30)
    assert scene.bearer() == "shh-1"
    assert client.refused == 2
    client.writable = True
    scene.clock.advance(30)
    assert scene.bearer() == "shh-1"
    assert scene.stored == {**expiring(-1), "refreshToken": "shh-rotated"}
    assert len(scene.oauth.asked) == 1
    assert scene.worker().bearer(PORTAL, 30) == "shh-1"


def test_a_rotated_refresh_token_that_could_not_be_written_is_the_one_used_next(scene: Scene, logged: Lines) -> None:
    scene.put(expiring(-1))
    scene.tokens = scene.worker(Unwritable(scene.client))
    scene.oauth.script = [RefreshedToken("shh-1", 1_800, "shh-rotated")]
    scene.bearer()

    assert scene.bearer(fresh=True) == "shh-new-2"
    assert scene.oauth.asked[-1][2] == "shh-rotated"
    assert all("shh" not in str(line) for line in logged)


@pytest.mark.parametrize("writable", [False, True])
@pytest.mark.usefixtures("logged")
def test_an_owners_correction_counts_more_than_what_could_not_be_written(scene: Scene, writable: bool) -> None:
    scene.put(expiring(-1))
    client = Unwritable(scene.client)
    scene.tokens = scene.worker(client)
    scene.oauth.script = [RefreshedToken("shh-new-1", 1_800, "shh-rotated")]
    scene.bearer()
    client.writable = writable
    scene.put("shh-static")

    scene.clock.advance(60)  # the old version is still remembered, and a write is tried
    assert scene.bearer() == ("shh-static" if writable else "shh-new-1")
    scene.clock.advance(300)
    assert scene.bearer() == "shh-static"


def test_an_access_token_that_cannot_be_kept_is_used_by_this_worker(scene: Scene, logged: Lines) -> None:
    class Half(AccessTokens):
        def _change(self, *_: object, **__: object) -> None:
            raise LedgerUnavailable("away")

    scene.put(expiring(-1))
    scene.tokens = scene.worker(tokens=Half(scene.table, scene.clock))

    assert scene.bearer() == scene.bearer() == "shh-new-1"
    assert ("an access token could not be kept for others", {"secret": scene.secret, "error": "away"}) in logged


def test_an_access_token_of_another_refresh_token_is_not_used(scene: Scene) -> None:
    scene.put(expiring(-1))
    scene.bearer()
    scene.put(expiring(-1, refreshToken="shh-corrected"))

    assert scene.worker().bearer(PORTAL, 30) == "shh-new-2"
    assert scene.oauth.asked[-1][2] == "shh-corrected"


def test_an_access_token_that_the_owner_stores_after_a_refresh_counts(scene: Scene) -> None:
    scene.put(expiring(-1))
    scene.bearer()
    scene.put(expiring(600, accessToken="shh-owners"))

    assert scene.worker().bearer(PORTAL, 30) == "shh-owners"


def test_an_access_token_without_an_end_counts_until_a_refresh(scene: Scene) -> None:
    scene.put({**APP, "accessToken": "shh-first"})
    assert scene.bearer() == "shh-first"
    assert scene.bearer(fresh=True) == "shh-new-1"

    assert scene.worker().bearer(PORTAL, 30) == "shh-new-1"
    assert len(scene.oauth.asked) == 1
