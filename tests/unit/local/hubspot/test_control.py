"""The stand-in's control interface, in process."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from local.hubspot.server import MAX_BODY_BYTES, create_app, main

PAIR = "/crm/associations/2026-03/definitions/configurations/deals/contacts"
INPUT = {"category": "HUBSPOT_DEFINED", "typeId": 3, "maxToObjectIds": 5}


class HubSpot(TestClient):
    """An in-process stand-in, called with a valid token."""

    def __init__(self) -> None:
        super().__init__(create_app("token-of-the-test"), headers={"Authorization": "Bearer token-of-the-test"})

    def create(self) -> Any:
        return self.post(f"{PAIR}/batch/create", json={"inputs": [INPUT]})


@pytest.fixture
def hubspot() -> HubSpot:
    return HubSpot()


def test_the_journal_is_filtered_by_operation_and_can_be_emptied(hubspot: HubSpot) -> None:
    hubspot.create()
    hubspot.get(PAIR)
    hubspot.get("/nowhere")

    reads = hubspot.get("/_standin/journal?operation=read").json()
    unknown = hubspot.get("/_standin/journal?operation=unknown").json()
    assert (reads["total"], [entry["path"] for entry in reads["entries"]]) == (3, [PAIR])
    assert [entry["path"] for entry in unknown["entries"]] == ["/nowhere"]
    assert hubspot.delete("/_standin/journal").json() == {"total": 0, "entries": []}


def test_the_state_shows_every_limit_until_reset(hubspot: HubSpot) -> None:
    hubspot.create()

    limit = {**INPUT, "fromObjectType": "0-3", "toObjectType": "0-1", "label": None}
    assert hubspot.get("/_standin/state").json() == {"portals": [{"hubId": 1, "limits": [limit]}]}
    assert hubspot.delete("/_standin/state").json() == {"portals": []}
    assert hubspot.get(PAIR).json() == {"results": []}


def test_an_added_type_can_have_a_limit(hubspot: HubSpot) -> None:
    new = {"fromObjectType": "2-77", "toObjectType": "deals", "category": "USER_DEFINED", "typeId": 900}
    assert hubspot.post("/_standin/types", json={**new, "label": "Site"}).status_code == 200

    path = "/crm/associations/2026-03/definitions/configurations/2-77/deal/batch/create"
    asked = {"category": "USER_DEFINED", "typeId": 900, "maxToObjectIds": 2}
    assert hubspot.post(path, json={"inputs": [asked]}).json()["results"][0]["label"] == "Site"


def test_oauth_apps_are_listed_without_their_secrets(hubspot: HubSpot) -> None:
    app = {"clientId": "acme", "clientSecret": "hidden-1", "refreshToken": "hidden-2", "hubId": 2}
    added = hubspot.post("/_standin/oauth", json={**app, "rotates": True})
    replaced = hubspot.post("/_standin/oauth", json={**app, "expiresIn": 60, "state": "badHub"})
    revoked = hubspot.post("/_standin/oauth/revoke", json={"clientId": "acme"})
    again = hubspot.post("/_standin/oauth/revoke", json={"clientId": "acme"})

    public = {"clientId": "acme", "hubId": 2, "expiresIn": 1800, "rotates": True, "state": "valid", "revoked": False}
    changed = public | {"expiresIn": 60, "rotates": False, "state": "badHub"}
    assert (added.json(), replaced.json()) == (public, changed)
    assert revoked.json() == again.json() == changed | {"revoked": True}
    assert hubspot.get("/_standin/oauth").json() == {"apps": [again.json()]}


def test_a_refreshed_token_is_of_the_account_of_its_app_and_never_listed(hubspot: HubSpot) -> None:
    secrets = {"client_secret": "hidden-secret", "refresh_token": "hidden-refresh"}
    app = {"clientId": "acme", "clientSecret": "hidden-secret", "refreshToken": "hidden-refresh", "hubId": 2}
    hubspot.post("/_standin/oauth", json=app)

    form = {"grant_type": "refresh_token", "client_id": "acme", **secrets}
    given = hubspot.post("/oauth/2026-03/token", data=form).json()["access_token"]
    details = hubspot.get("/account-info/2026-03/details", headers={"Authorization": f"Bearer {given}"})
    assert details.json()["portalId"] == 2

    journal, tokens = hubspot.get("/_standin/journal"), hubspot.get("/_standin/tokens")
    assert [entry["operation"] for entry in journal.json()["entries"]] == ["token", "account"]
    assert tokens.json()["tokens"][1]["name"] == "oauth-acme-1"
    assert "hidden" not in journal.text + tokens.text
    assert given not in journal.text + tokens.text


def test_a_bad_oauth_app_is_refused_without_repeating_its_secrets(hubspot: HubSpot) -> None:
    app = {"clientId": "a b", "clientSecret": "hidden one", "refreshToken": "hidden-2", "expiresIn": -1}
    answer = hubspot.post("/_standin/oauth", json=app)
    assert answer.status_code == 400
    assert {reason.split(":")[0] for reason in answer.json()["errors"]} == {"clientId", "clientSecret", "expiresIn"}
    assert "hidden" not in answer.text


def test_the_journal_keeps_as_many_calls_as_it_is_told() -> None:
    for kept, numbers in ((2, [2, 3]), (None, [1, 2, 3])):
        hubspot = TestClient(create_app(kept_entries=kept))
        for _ in range(3):
            hubspot.get("/nowhere")
        journal = hubspot.get("/_standin/journal").json()
        assert (journal["total"], [entry["sequence"] for entry in journal["entries"]]) == (3, numbers)


def test_a_journal_that_keeps_nothing_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--port", "0", "--journal", "0"])
    assert "--journal must be at least 1" in capsys.readouterr().err


def test_settings_change_in_part_or_are_replaced_whole(hubspot: HubSpot) -> None:
    hubspot.patch("/_standin/settings", json={"ceiling": 50})
    changed = hubspot.patch("/_standin/settings", json={"badInput": "batch"}).json()
    replaced = hubspot.put("/_standin/settings", json={"badInput": "batch"}).json()
    assert (changed["ceiling"], changed["badInput"]) == (50, "batch")
    assert (replaced["ceiling"], replaced["badInput"]) == (10_000, "batch")


def test_health_needs_no_token() -> None:
    assert TestClient(create_app()).get("/_standin/health").json() == {"status": "ok"}


@pytest.mark.parametrize(
    ("method", "path", "body", "named"),
    [
        ("PATCH", "settings", b'{"nope": 1}', "nope"),
        ("PATCH", "settings", b'{"ceiling": true}', "ceiling"),
        ("PATCH", "settings", b'{"successStatus": 202}', "successStatus"),
        ("PATCH", "settings", b'{"utcOffsetMinutes": 841}', "utcOffsetMinutes"),
        ("PATCH", "settings", b'{"minimumLimit": 20000}', "minimumLimit"),
        ("PUT", "settings", b"[]", "object"),
        ("PUT", "settings", b"{", "JSON"),
        ("PUT", "settings", b"\xff", "JSON"),
        ("POST", "faults", b"{}", "effect"),
        ("POST", "faults", b'{"effect": {"kind": "bang"}}', "bang"),
        ("POST", "faults", b'{"effect": {"kind": "status", "status": 200}}', "status"),
        ("POST", "faults", b'{"effect": {"kind": "status", "status": 500, "policy": "DAILY"}}', "policy"),
        ("POST", "faults", b'{"effect": {"kind": "drop", "late": true}}', "late"),
        ("POST", "faults", b'{"effect": {"kind": "delay", "applied": false}}', "applied"),
        ("POST", "faults", b'{"fromObjectType": "dealz", "effect": {"kind": "drop"}}', "dealz"),
        ("POST", "faults", b'{"times": 0, "effect": {"kind": "drop"}}', "times"),
        ("POST", "faults", b'{"operation": "boom", "effect": {"kind": "drop"}}', "operation"),
        ("POST", "faults", b'{"operation": "token", "fromObjectType": "deals", "effect": {"kind": "drop"}}', "types"),
        ("POST", "faults", b'{"operation": "account", "effect": {"kind": "echo"}}', "echo"),
        ("POST", "faults", b'{"operation": "token", "token": "x", "effect": {"kind": "drop"}}', "access token"),
        ("POST", "oauth", b'{"clientId": "acme", "clientSecret": "x"}', "refreshToken"),
        ("POST", "oauth/revoke", b'{"clientId": "acme"}', "acme"),
        ("POST", "tokens", b'{"name": "x", "token": "two words"}', "token"),
        ("POST", "tokens", b'{"name": "x", "token": "token-of-the-test"}', "another name"),
        ("POST", "types", b'{"fromObjectType": "dealz"}', "dealz"),
        ("GET", "journal?operation=boom", b"", "operation"),
        ("GET", "journal?sort=up", b"", "sort"),
    ],
)
def test_a_bad_control_request_is_told_what_is_wrong(
    hubspot: HubSpot, method: str, path: str, body: bytes, named: str
) -> None:
    answer = hubspot.request(method, f"/_standin/{path}", content=body)
    assert answer.status_code == 400
    assert named in " ".join(answer.json()["errors"])


def test_a_control_request_elsewhere_or_too_large_is_refused(hubspot: HubSpot) -> None:
    assert hubspot.get("/_standin/nowhere").json() == {"errors": ["Not Found"]}
    assert hubspot.post("/_standin/health").status_code == 405
    assert hubspot.put("/_standin/settings", content=b" " * (MAX_BODY_BYTES + 1)).status_code == 413
