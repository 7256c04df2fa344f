"""Portals at run time: a portal is a secret, added and ended without a deployment."""

from __future__ import annotations

from typing import NoReturn

import pytest
from botocore.exceptions import ClientError

from model.errors import Misconfigured, PortalEnded, Refused
from tests.support.tokens import DAY, PORTAL, Scene
from tokens.portals import UNKNOWN, Portals


def take_away(scene: Scene) -> None:
    scene.client.delete_secret(SecretId=scene.secret, ForceDeleteWithoutRecovery=True)


@pytest.fixture
def portals(scene: Scene) -> Portals:
    return scene.portals


def test_a_portal_is_a_secret_under_the_prefix(scene: Scene, portals: Portals) -> None:
    scene.put("pat-1", "acme")

    assert "acme" in portals
    assert "unknown" not in portals
    assert scene.registry.portals == {PORTAL: None, "acme": None}


@pytest.mark.parametrize("name", ["", "Acme", "a/b", "../clients", "a b", "é", "-a", "a" * 64, "*"])
def test_what_can_be_no_portals_name_is_not_looked_up(scene: Scene, portals: Portals, name: str) -> None:
    looked_up = scene.portals._secrets._known

    assert name not in portals
    assert not looked_up
    assert scene.registry.portals == {PORTAL: None}


def test_a_new_portal_works_within_thirty_seconds_though_it_was_asked_for_before(
    scene: Scene, portals: Portals
) -> None:
    assert "acme" not in portals
    scene.put("pat-1", "acme")

    assert "acme" not in portals  # guesses are not looked up again and again
    scene.clock.advance(UNKNOWN.total_seconds())
    assert "acme" in portals


@pytest.mark.parametrize("mark", [True, "true"])
def test_a_portal_that_its_owner_has_ended_takes_nothing_and_gives_no_token(
    scene: Scene, portals: Portals, mark: object
) -> None:
    scene.put({"accessToken": "pat-1", "ended": mark})

    assert PORTAL not in portals
    assert str(scene.fails(PortalEnded)) == f"the portal default has been ended, in its secret {scene.secret}"


@pytest.mark.parametrize("mark", [False, "false", None, 0, ""])
def test_a_portal_goes_on_unless_it_says_that_it_has_ended(scene: Scene, portals: Portals, mark: object) -> None:
    scene.put({"accessToken": "pat-1", "ended": mark})

    assert PORTAL in portals
    assert scene.bearer() == "pat-1"


def test_a_portal_that_there_never_was_is_refused(scene: Scene) -> None:
    with pytest.raises(Refused, match="there is no portal acme"):
        scene.tokens.bearer("acme", 30)


def test_a_secret_that_is_gone_lets_its_portal_wait_for_a_day_and_ends_it_then(scene: Scene, portals: Portals) -> None:
    scene.put("pat-1")
    assert scene.bearer() == "pat-1"
    take_away(scene)
    scene.clock.advance(300)

    assert "ends at 2026-11-24T09:05:00.000Z unless it is back" in str(scene.fails(Misconfigured))
    assert PORTAL in portals
    scene.clock.advance(DAY.total_seconds())
    assert "since 2026-11-23T09:05:00.000Z" in str(scene.fails(PortalEnded))
    assert PORTAL not in portals


def test_a_secret_that_is_back_within_the_day_is_as_if_it_had_never_been_away(scene: Scene, portals: Portals) -> None:
    scene.put("pat-1")
    scene.bearer()
    take_away(scene)
    scene.clock.advance(300)
    scene.fails(Misconfigured)
    scene.put("pat-2")
    scene.clock.advance(60)

    assert scene.bearer() == "pat-2"
    assert scene.registry.portals == {PORTAL: None}


@pytest.mark.parametrize("code", ["AccessDeniedException", "DecryptionFailure", "InvalidRequestException"])
def test_refused_access_a_disabled_key_and_a_marked_secret_never_end_a_portal(scene: Scene, code: str) -> None:
    class Refusing:
        def get_secret_value(self, **_: object) -> NoReturn:
            raise ClientError({"Error": {"Code": code}}, "GetSecretValue")

    refusing = scene.worker(Refusing())

    for _ in range(3):
        with pytest.raises(Misconfigured, match=code):
            refusing.bearer(PORTAL, 30)
        scene.clock.advance(DAY.total_seconds())
