"""Faults ordered of the stand-in, in process."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from local.hubspot.connection import ConnectionEndedError
from local.hubspot.faults import Fault, FaultOrder, Target
from local.hubspot.server import create_app

PAIR = "/crm/associations/2026-03/definitions/configurations/deals/contacts"
INPUT = {"category": "HUBSPOT_DEFINED", "typeId": 3, "maxToObjectIds": 5}


class HubSpot(TestClient):
    """An in-process stand-in that records how long it would have waited, and what could be read meanwhile."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.limits_while_waiting: list[Any] = []
        self.app_under_test = create_app("token-of-the-test", clock=lambda: 1_800_100_800.0, sleep=self._sleep)
        super().__init__(self.app_under_test, headers={"Authorization": "Bearer token-of-the-test"})

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.limits_while_waiting.append(self._numbers())

    def _numbers(self) -> list[int]:
        portal = self.app_under_test.state.standin.portals[1]
        return [number for pair in portal.pairs() for number in portal.limits(pair).values()]

    def order(self, effect: dict[str, Any], **order: Any) -> None:
        answer = self.post("/_standin/faults", json={**order, "effect": effect})
        assert answer.status_code == 200, answer.text

    def create(self) -> Any:
        return self.post(f"{PAIR}/batch/create", json={"inputs": [INPUT]})

    def limits(self) -> list[int]:
        return [row["userEnforcedMaxToObjectIds"] for row in self.get(PAIR).json()["results"]]

    def last_entry(self) -> dict[str, Any]:
        entries: list[dict[str, Any]] = self.get("/_standin/journal").json()["entries"]
        return entries[-1]


@pytest.fixture
def hubspot() -> HubSpot:
    return HubSpot()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 423, 429, 477, 500, 502, 503, 504, 521])
@pytest.mark.parametrize(("applied", "left"), [(False, []), (True, [5])])
def test_any_error_status_can_come_with_or_without_the_call_carried_out(
    hubspot: HubSpot, status: int, applied: bool, left: list[int]
) -> None:
    hubspot.order({"kind": "status", "status": status, "applied": applied})

    answer = hubspot.create()
    assert answer.status_code == status
    assert answer.headers["X-HubSpot-Correlation-Id"]
    assert hubspot.limits() == left


def test_the_bodies_of_error_statuses_are_hubspots(hubspot: HubSpot) -> None:
    hubspot.order({"kind": "status", "status": 429, "policy": "DAILY"})
    hubspot.order({"kind": "status", "status": 477, "retryAfterSeconds": 86400})
    hubspot.order({"kind": "status", "status": 403})
    hubspot.order({"kind": "status", "status": 502})

    daily, moving, scopes, gateway = (hubspot.create() for _ in range(4))
    assert daily.json()["policyName"] == "DAILY"
    assert moving.headers["Retry-After"] == "86400"
    assert "missingScopes" in scopes.json()["errors"][0]["context"]
    assert gateway.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(("applied", "left"), [(False, []), (True, [5])])
def test_a_connection_ends_before_or_after_the_call_is_carried_out(
    hubspot: HubSpot, reset: bool, applied: bool, left: list[int]
) -> None:
    hubspot.order({"kind": "drop", "applied": applied, "reset": reset})

    with pytest.raises(ConnectionEndedError, match="reset" if reset else "closed"):
        hubspot.create()
    entry = hubspot.last_entry()
    assert (entry["status"], entry["dropped"], len(entry["changed"])) == (None, True, len(left))
    assert hubspot.limits() == left


@pytest.mark.parametrize(("late", "meanwhile"), [(False, [5]), (True, [])])
def test_a_slow_call_is_carried_out_before_the_wait_or_after_it(
    hubspot: HubSpot, late: bool, meanwhile: list[int]
) -> None:
    hubspot.patch("/_standin/settings", json={"latencyMs": 250})
    hubspot.order({"kind": "delay", "delayMs": 1500, "late": late})

    assert hubspot.create().status_code == 201
    assert hubspot.waits == [1.75]
    assert hubspot.limits_while_waiting == [meanwhile]
    assert hubspot.limits() == [5]


@pytest.mark.parametrize("body_status", ["PENDING", "PROCESSING", "CANCELED"])
def test_a_batch_can_be_answered_as_not_complete(hubspot: HubSpot, body_status: str) -> None:
    hubspot.order({"kind": "incomplete", "bodyStatus": body_status})

    answer = hubspot.create()
    assert answer.status_code == 201
    assert (answer.json()["status"], answer.json()["results"]) == (body_status, [])
    assert hubspot.limits() == []


def test_complete_can_come_without_results_or_with_other_numbers_though_applied(hubspot: HubSpot) -> None:
    hubspot.order({"kind": "noResults"})
    hubspot.order({"kind": "echo", "by": -2})

    silent, other = hubspot.create().json(), hubspot.create().json()
    assert (silent["status"], silent["results"], "errors" in silent) == ("COMPLETE", [], False)
    assert other["results"][0]["userEnforcedMaxToObjectIds"] == 3
    assert hubspot.limits() == [5]


def test_a_body_can_be_truncated_html_or_empty(hubspot: HubSpot) -> None:
    for body in ("truncated", "html", "empty"):
        hubspot.order({"kind": "broken", "body": body})

    truncated, html, empty = (hubspot.create() for _ in range(3))
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        truncated.json()
    assert html.text.startswith("<!doctype html>")
    assert empty.content == b""
    assert {answer.status_code for answer in (truncated, html, empty)} == {201}


def test_effects_on_a_batchs_body_leave_refusals_alone(hubspot: HubSpot) -> None:
    hubspot.order({"kind": "incomplete", "bodyStatus": "PENDING"})
    assert hubspot.post(f"{PAIR}/batch/create", content=b"[").json()["category"] == "VALIDATION_ERROR"


@pytest.mark.parametrize(
    ("match", "spoiled"),
    [
        ({}, True),
        ({"operation": "any"}, True),
        ({"operation": "create"}, True),
        ({"operation": "read"}, False),
        ({"fromObjectType": "Deals"}, True),
        ({"fromObjectType": "companies"}, False),
        ({"toObjectType": "0-1"}, True),
        ({"toObjectType": "companies"}, False),
        ({"token": "default"}, True),
        ({"token": "acme"}, False),
    ],
)
def test_a_fault_strikes_only_the_calls_it_matches(hubspot: HubSpot, match: dict[str, str], spoiled: bool) -> None:
    hubspot.order({"kind": "status", "status": 500}, **match)
    assert hubspot.create().status_code == (500 if spoiled else 201)


def test_a_fault_strikes_only_so_often_and_says_how_often(hubspot: HubSpot) -> None:
    hubspot.order({"kind": "status", "status": 500}, times=2)

    assert [hubspot.create().status_code for _ in range(3)] == [500, 500, 201]
    fault = hubspot.get("/_standin/faults").json()["faults"][0]
    assert (fault["struck"], fault["remaining"]) == (2, 0)


def test_faults_strike_in_the_order_they_were_ordered_until_cleared(hubspot: HubSpot) -> None:
    for status in (500, 503, 504):
        hubspot.order({"kind": "status", "status": status})

    assert [hubspot.create().status_code for _ in range(2)] == [500, 503]
    assert hubspot.delete("/_standin/faults").json() == {"faults": []}
    assert hubspot.create().status_code == 201


@pytest.mark.parametrize(
    ("operation", "spoiled"),
    [("any", set()), ("token", {"token"}), ("account", {"account"}), ("create", set())],
)
def test_any_means_the_operations_on_associations_and_not_those_around_them(operation: str, spoiled: set[str]) -> None:
    fault = Fault(1, FaultOrder.of({"operation": operation, "share": 1.0, "effect": {"kind": "drop"}}))

    targets = {"token": Target("token", None, None, None), "account": Target("account", None, None, "default")}
    assert {name for name, target in targets.items() if fault.spoils(target)} == spoiled


def test_what_was_honestly_refused_is_told_apart_from_what_a_fault_made_of_it(hubspot: HubSpot) -> None:
    hubspot.order({"kind": "status", "status": 503})
    hubspot.post(f"{PAIR}/batch/create", content=b"[")
    assert (hubspot.last_entry()["status"], hubspot.last_entry()["refusal"]) == (503, "VALIDATION_ERROR")
    hubspot.get(PAIR, headers={"Authorization": "Bearer nobody"})
    assert (hubspot.last_entry()["status"], hubspot.last_entry()["refusal"]) == (401, "INVALID_AUTHENTICATION")


@given(st.floats(0.05, 1), st.integers(), st.integers(1, 30))
def test_a_share_of_calls_is_drawn_alike_from_the_same_seed(share: float, seed: int, times: int) -> None:
    target = Target("create", "0-3", "0-1", "default")

    def struck(**more: int) -> list[bool]:
        effect = {"kind": "drop"}
        fault = Fault(1, FaultOrder.of({"share": share, "seed": seed, "effect": effect, **more}))
        return [fault.spoils(target) for _ in range(100)]

    endless, bounded = struck(), struck(times=times)
    assert struck() == endless
    assert bounded == [hit and sum(endless[: at + 1]) <= times for at, hit in enumerate(endless)]


def test_a_journal_entry_says_all_but_the_token(hubspot: HubSpot) -> None:
    hubspot.order({"kind": "status", "status": 503, "applied": True})
    answer = hubspot.create()

    entry = hubspot.last_entry()
    assert entry.pop("fault")["effect"]["status"] == 503
    assert entry == {
        "sequence": 1,
        "time": "2027-01-16T12:00:00.000Z",
        "operation": "create",
        "method": "POST",
        "path": f"{PAIR}/batch/create",
        "fromObjectType": "deals",
        "toObjectType": "contacts",
        "tokenName": "default",
        "hubId": 1,
        "body": {"inputs": [INPUT]},
        "status": 503,
        "dropped": False,
        "refusal": None,
        "changed": [INPUT],
        "correlationId": answer.headers["X-HubSpot-Correlation-Id"],
    }
    assert "token-of-the-test" not in hubspot.get("/_standin/journal").text
