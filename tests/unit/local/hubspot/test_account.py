"""The stand-in's account details, without HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local.hubspot.access import Token
from local.hubspot.faults import FaultOrder
from local.hubspot.service import Call, StandIn
from local.hubspot.settings import Settings


class HubSpot:
    """A stand-in with a good token of account 7, and one that lacks the scopes of associations."""

    def __init__(self, **switches: object) -> None:
        tokens = [{"name": "good", "token": "t", "hubId": 7}, {"name": "poor", "token": "p", "state": "missingScope"}]
        self.standin = StandIn(map(Token.of, tokens), lambda: 1_800_100_800.0, lambda: "an-id")
        self.standin.settings = Settings().changed(switches)

    def account(self, bearer: str = "t", version: str = "2026-03") -> tuple[int, dict[str, Any]]:
        path = f"/account-info/{version}/details"
        answer = self.standin.receive(Call("account", "GET", path, f"Bearer {bearer}", version=version)).finish()
        return answer.status, json.loads(answer.body)


@pytest.mark.parametrize("version", ["2026-03", "2026-09", "v3"])
def test_account_details_are_of_the_account_of_the_token(version: str) -> None:
    assert HubSpot().account(version=version) == (
        200,
        {
            "portalId": 7,
            "accountType": "STANDARD",
            "timeZone": "Etc/UTC",
            "companyCurrency": "USD",
            "additionalCurrencies": [],
            "utcOffset": "+00:00",
            "utcOffsetMilliseconds": 0,
            "uiDomain": "app.hubspot.com",
            "dataHostingLocation": "na1",
        },
    )


@pytest.mark.parametrize(
    ("minutes", "written", "milliseconds", "zone"),
    [
        (-300, "-05:00", -18_000_000, "Etc/GMT+5"),
        (-570, "-09:30", -34_200_000, "GMT-09:30"),
        (345, "+05:45", 20_700_000, "GMT+05:45"),
        (840, "+14:00", 50_400_000, "Etc/GMT-14"),
    ],
)
def test_an_account_tells_how_far_it_is_from_utc(minutes: int, written: str, milliseconds: int, zone: str) -> None:
    details = HubSpot(utcOffsetMinutes=minutes).account()[1]
    assert (details["utcOffset"], details["utcOffsetMilliseconds"], details["timeZone"]) == (
        written,
        milliseconds,
        zone,
    )


def test_account_details_need_a_token_and_quota_but_no_scope_of_associations() -> None:
    hubspot = HubSpot(tenSecondlyLimit=1)
    labels = Call("labels", "GET", "/", "Bearer p", version="2026-03", from_object_type="0-3", to_object_type="0-1")

    assert hubspot.account("nobody")[1]["category"] == "INVALID_AUTHENTICATION"
    assert hubspot.standin.receive(labels).finish().status == 403
    assert [hubspot.account("p")[0], hubspot.account("p")[0]] == [200, 429]


def test_a_fault_can_strike_account_details() -> None:
    hubspot = HubSpot()
    order = {"operation": "account", "token": "good", "effect": {"kind": "status", "status": 503}}
    hubspot.standin.faults.add(FaultOrder.of(order))

    assert [hubspot.account()[0], hubspot.account()[0]] == [503, 200]
    assert [entry.operation for entry in hubspot.standin.journal.entries("account")] == ["account", "account"]
