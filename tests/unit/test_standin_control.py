"""The stand-in's control interface, in process."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from local.hubspot.server import MAX_BODY_BYTES, create_app

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
