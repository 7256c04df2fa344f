"""The stand-in's token endpoint, without HTTP."""

from __future__ import annotations

import json
from itertools import count
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.hubspot.access import Token
from local.hubspot.faults import FaultOrder
from local.hubspot.oauth import KEPT_ISSUED, OAuthApp
from local.hubspot.service import Call, StandIn

NOON = 1_800_100_800.0  # 2027-01-16T12:00:00Z
GOOD = {
    "grant_type": "refresh_token",
    "client_id": "acme",
    "client_secret": "hidden-secret",
    "refresh_token": "hidden-refresh",
}


class HubSpot:
    """A stand-in with one OAuth app of account 7, whose clock moves only when told."""

    def __init__(self, **app: object) -> None:
        self.moment = NOON
        ids = count(1)
        self.standin = StandIn([Token(name="default", token="t")], lambda: self.moment, lambda: f"id-{next(ids)}")
        self.install(**app)

    def install(self, **app: object) -> None:
        secrets = {"clientSecret": GOOD["client_secret"], "refreshToken": GOOD["refresh_token"]}
        self.standin.oauth.add(OAuthApp.of({"clientId": "acme", "hubId": 7, **secrets, **app}))

    def order(self, operation: str, effect: dict[str, object]) -> None:
        self.standin.faults.add(FaultOrder.of({"operation": operation, "effect": effect}))

    def refresh(self, version: str = "2026-03", authorization: str = "", **fields: str) -> tuple[int, dict[str, Any]]:
        form = urlencode({**GOOD, **fields}).encode()
        return self.asked(Call("token", "POST", f"/oauth/{version}/token", authorization, form, version))

    def read(self, token: str) -> int:
        call = Call("read", "GET", "/", f"Bearer {token}", b"", "2026-03", "deals", "contacts")
        return self.standin.receive(call).finish().status

    def asked(self, call: Call) -> tuple[int, dict[str, Any]]:
        answer = self.standin.receive(call).finish()
        assert answer.headers["X-HubSpot-Correlation-Id"]
        return answer.status, json.loads(answer.body) if answer.media_type == "application/json" else {}

    def last_entry(self) -> dict[str, Any]:
        return self.standin.journal.entries()[-1].as_json()


@pytest.mark.parametrize("version", ["2026-03", "2026-09", "v1"])
def test_a_refresh_gives_an_access_token_and_the_same_refresh_token(version: str) -> None:
    status, given = HubSpot().refresh(version)
    assert (status, given) == (
        200,
        {
            "access_token": "access-acme-1-id-2",
            "expires_in": 1800,
            "refresh_token": GOOD["refresh_token"],
            "token_type": "bearer",
            "hub_id": 7,
        },
    )


def test_an_access_token_is_good_at_once_for_its_account_until_it_expires() -> None:
    hubspot = HubSpot(expiresIn=60)
    given = hubspot.refresh()[1]["access_token"]

    assert hubspot.read(given) == 200
    assert hubspot.last_entry()["hubId"] == 7
    hubspot.moment = NOON + 59.9
    assert hubspot.read(given) == 200
    hubspot.moment = NOON + 60
    assert hubspot.read(given) == 401
    assert hubspot.last_entry()["refusal"] == "EXPIRED_AUTHENTICATION"
    assert hubspot.read(hubspot.refresh()[1]["access_token"]) == 200


def test_a_later_access_token_leaves_the_earlier_one_good() -> None:
    hubspot = HubSpot()
    given = [hubspot.refresh()[1]["access_token"] for _ in range(3)]
    assert [hubspot.read(token) for token in given] == [200, 200, 200]
    assert [token.name for token in hubspot.standin.tokens] == [
        "default",
        "oauth-acme-1",
        "oauth-acme-2",
        "oauth-acme-3",
    ]


def test_the_same_ids_give_the_same_tokens() -> None:
    first, second = HubSpot(rotates=True), HubSpot(rotates=True)
    assert first.refresh() == second.refresh()


def test_rotation_gives_another_refresh_token_and_refuses_the_old_one_at_once() -> None:
    hubspot = HubSpot(rotates=True)

    rotated = hubspot.refresh()[1]["refresh_token"]
    assert rotated != GOOD["refresh_token"]
    assert hubspot.refresh()[1]["status"] == "BAD_REFRESH_TOKEN"
    assert hubspot.refresh(refresh_token=rotated)[0] == 200
    assert hubspot.refresh(refresh_token=rotated)[0] == 400


@pytest.mark.parametrize(
    ("fields", "status", "error"),
    [
        ({"grant_type": ""}, "BAD_GRANT_TYPE", "unsupported_grant_type"),
        ({"grant_type": "authorization_code"}, "BAD_GRANT_TYPE", "unsupported_grant_type"),
        ({"client_id": ""}, "BAD_CLIENT_ID", "invalid_client"),
        ({"client_id": "Acme"}, "BAD_CLIENT_ID", "invalid_client"),
        ({"client_secret": ""}, "BAD_CLIENT_SECRET", "invalid_client"),
        ({"client_secret": "hidden-wrong"}, "BAD_CLIENT_SECRET", "invalid_client"),
        ({"refresh_token": ""}, "BAD_REFRESH_TOKEN", "invalid_grant"),
        ({"refresh_token": "hidden-wrong"}, "BAD_REFRESH_TOKEN", "invalid_grant"),
    ],
)
def test_a_refresh_with_something_missing_or_wrong_is_refused(fields: dict[str, str], status: str, error: str) -> None:
    code, refusal = HubSpot().refresh(**fields)
    assert code == 400
    assert (refusal["status"], refusal["error"], refusal["correlationId"]) == (status, error, "id-1")
    assert refusal["message"]


@pytest.mark.parametrize("body", [b"", json.dumps(GOOD).encode(), b"\xff\xfe", b"grant_type"])
def test_a_body_that_is_no_such_form_has_no_grant_type(body: bytes) -> None:
    status, refusal = HubSpot().asked(Call("token", "POST", "/oauth/v1/token", body=body, version="v1"))
    assert (status, refusal["status"]) == (400, "BAD_GRANT_TYPE")


def test_an_account_that_is_off_is_refused_until_it_is_mended() -> None:
    hubspot = HubSpot(state="badHub")
    status, refusal = hubspot.refresh()
    assert (status, refusal["status"]) == (400, "BAD_HUB")
    hubspot.install()
    assert hubspot.refresh()[0] == 200


@pytest.mark.parametrize("rotates", [False, True])
def test_a_revoked_app_is_refused_until_it_is_mended(rotates: bool) -> None:
    hubspot = HubSpot(rotates=rotates)
    given = hubspot.refresh()[1]
    hubspot.standin.oauth.revoke("acme")
    assert hubspot.refresh(refresh_token=given["refresh_token"])[1]["status"] == "BAD_REFRESH_TOKEN"
    assert hubspot.read(given["access_token"]) == 200

    hubspot.install()
    assert hubspot.refresh()[1]["access_token"].startswith("access-acme-2-")


@pytest.mark.parametrize(("applied", "good"), [(False, True), (True, False)])
def test_an_answer_can_be_lost_before_or_after_the_refresh_token_is_rotated(applied: bool, good: bool) -> None:
    hubspot = HubSpot(rotates=True)
    hubspot.order("token", {"kind": "status", "status": 502, "applied": applied})

    assert hubspot.refresh()[0] == 502
    assert len(list(hubspot.standin.tokens)) == 1 + applied
    assert (hubspot.refresh()[0] == 200) is good


def test_a_late_refresh_counts_its_seconds_from_when_it_is_carried_out() -> None:
    hubspot = HubSpot(expiresIn=60)
    hubspot.order("token", {"kind": "delay", "delayMs": 5000, "late": True})
    exchange = hubspot.standin.receive(
        Call("token", "POST", "/oauth/v1/token", body=urlencode(GOOD).encode(), version="v1")
    )
    assert exchange.wait_seconds == 5
    hubspot.moment = NOON + 5
    given = json.loads(exchange.finish().body)["access_token"]
    hubspot.moment = NOON + 64
    assert hubspot.read(given) == 200


def test_a_refresh_takes_nothing_from_any_quota() -> None:
    hubspot = HubSpot()
    hubspot.standin.settings = hubspot.standin.settings.changed({"tenSecondlyLimit": 1, "dailyLimit": 1})
    given = [hubspot.refresh(authorization="Bearer t")[1]["access_token"] for _ in range(3)]
    assert [hubspot.read(given[0]), hubspot.read(given[1])] == [200, 429]


def test_expired_tokens_are_forgotten_when_there_are_many_and_live_ones_never() -> None:
    hubspot = HubSpot(expiresIn=60)
    first = hubspot.refresh()[1]["access_token"]
    for _ in range(KEPT_ISSUED):
        hubspot.refresh()
    assert hubspot.read(first) == 200

    hubspot.moment = NOON + 60
    hubspot.read(first)
    assert hubspot.last_entry()["refusal"] == "EXPIRED_AUTHENTICATION"
    hubspot.refresh()
    hubspot.read(first)
    assert hubspot.last_entry()["refusal"] == "INVALID_AUTHENTICATION"
    assert len(list(hubspot.standin.tokens)) == 1 + KEPT_ISSUED


def test_the_journal_says_who_asked_and_what_came_of_it() -> None:
    hubspot = HubSpot()
    hubspot.refresh()
    entry = hubspot.last_entry()
    assert (entry["operation"], entry["path"], entry["status"]) == ("token", "/oauth/2026-03/token", 200)
    assert (entry["body"], entry["changed"]) == ({"grant_type": "refresh_token", "client_id": "acme"}, [])
    assert (entry["tokenName"], entry["refusal"]) == (None, None)

    hubspot.refresh(refresh_token="hidden-wrong")
    assert (hubspot.last_entry()["status"], hubspot.last_entry()["refusal"]) == (400, "BAD_REFRESH_TOKEN")


hidden = st.sampled_from(["hidden-secret", "hidden-refresh", "hidden-wrong"])


@given(
    st.dictionaries(st.sampled_from([*GOOD, "code", "hidden-field"]), hidden | st.sampled_from(list(GOOD.values()))),
    st.booleans(),
)
def test_no_secret_and_no_token_is_ever_journalled_or_listed(fields: dict[str, str], rotates: bool) -> None:
    hubspot = HubSpot(rotates=rotates)
    hubspot.refresh(authorization="Bearer hidden-access", **fields)
    _, given = hubspot.refresh()

    seen = [entry.as_json() for entry in hubspot.standin.journal.entries()]
    listed = [token.described() for token in hubspot.standin.tokens]
    apps = [hubspot.standin.oauth.described(app) for app in hubspot.standin.oauth]
    shown = f"{seen}{listed}{apps}{hubspot.standin.journal.entries()}{list(hubspot.standin.oauth)}"
    if not rotates:
        shown += repr(hubspot.standin.oauth.grant(urlencode(GOOD).encode(), NOON, lambda: "hidden-id"))
    assert "hidden" not in shown
    assert given.get("access_token", "hidden") not in shown
    assert given.get("refresh_token", "hidden") not in shown
