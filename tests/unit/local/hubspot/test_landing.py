"""Calls that the stand-in carries out after it has answered them, or while the client waits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from local.hubspot.access import Token
from local.hubspot.catalogue import Pair, TypeKey
from local.hubspot.connection import ConnectionEndedError
from local.hubspot.effects import any_effect
from local.hubspot.exchange import Exchange
from local.hubspot.faults import FaultOrder
from local.hubspot.oauth import OAuthApp
from local.hubspot.portal import Portal
from local.hubspot.server import create_app
from local.hubspot.service import Call, StandIn

NOON = 1_800_100_800.0
PAIR = "/crm/associations/2026-03/definitions/configurations/deals/contacts"
OBJECT = {"category": "HUBSPOT_DEFINED", "typeId": 3}
LABEL = {"category": "USER_DEFINED", "typeId": 35}
GATEWAY_TIMEOUT = {"kind": "status", "status": 504, "applied": True}
GRANT = {"grant_type": "refresh_token", "client_id": "acme", "client_secret": "s", "refresh_token": "r"}


def asked(of: dict[str, Any], number: int) -> dict[str, Any]:
    return {**of, "maxToObjectIds": number}


class HubSpot:
    """A stand-in whose clock moves only when told; what is to be done later is done as the clock gets there."""

    def __init__(self) -> None:
        self.moment = NOON
        ids = count(1)
        self.standin = StandIn([Token(name="t", token="t")], lambda: self.moment, lambda: f"id-{next(ids)}")
        self.planned: list[tuple[float, Callable[[], object]]] = []

    def order(self, effect: dict[str, object], operation: str = "create") -> None:
        self.standin.faults.add(FaultOrder.of({"operation": operation, "effect": effect}))

    def create(self, *inputs: dict[str, Any]) -> list[Any]:
        """Send a create; returns where its answer will be."""
        body = json.dumps({"inputs": inputs}).encode()
        return self.sent(Call("create", "POST", "/", "Bearer t", body, "2026-03", "deals", "contacts"))

    def refresh(self) -> list[Any]:
        return self.sent(Call("token", "POST", "/oauth/v1/token", body=urlencode(GRANT).encode(), version="v1"))

    def sent(self, call: Call) -> list[Any]:
        answers: list[Any] = []
        exchange: Exchange = self.standin.receive(call)
        self.planned.append((self.moment + exchange.wait_seconds, lambda: answers.append(exchange.finish())))
        if exchange.landing:
            seconds, land = exchange.landing
            self.planned.append((self.moment + seconds, land))
        return answers

    def wait(self, seconds: float) -> None:
        until = self.moment + seconds
        for moment, act in sorted(self.planned, key=lambda planned: planned[0]):
            if moment <= until:
                self.moment = moment
                act()
        self.planned = [planned for planned in self.planned if planned[0] > until]
        self.moment = until

    def limits(self) -> list[int]:
        call = Call("read", "GET", "/", "Bearer t", b"", "2026-03", "deals", "contacts")
        results = json.loads(self.standin.receive(call).finish().body)["results"]
        return [row["userEnforcedMaxToObjectIds"] for row in results]

    def entry(self) -> dict[str, Any]:
        return self.standin.journal.entries("create")[-1].as_json()


@pytest.mark.parametrize(
    ("effect", "status", "dropped"),
    [
        (GATEWAY_TIMEOUT, 504, False),
        ({"kind": "drop", "applied": True}, None, True),
        ({"kind": "drop", "applied": True, "reset": True}, None, True),
        ({"kind": "incomplete", "bodyStatus": "PENDING", "applied": True}, 201, False),
        ({"kind": "broken", "body": "html"}, 201, False),
        ({"kind": "delay"}, 201, False),
    ],
)
def test_a_call_lands_after_the_client_was_answered_or_cut_off(
    effect: dict[str, object], status: int | None, dropped: bool
) -> None:
    hubspot = HubSpot()
    hubspot.order({**effect, "delayMs": 2_000, "landMs": 90_000})
    answers = hubspot.create(asked(OBJECT, 5))

    hubspot.wait(1.9)
    assert answers == []
    hubspot.wait(0.1)
    assert len(answers) == 1
    hubspot.wait(87.9)
    assert (hubspot.limits(), hubspot.entry()["changed"]) == ([], [])
    assert (hubspot.entry()["status"], hubspot.entry()["dropped"]) == (status, dropped)
    hubspot.wait(0.1)
    assert (hubspot.limits(), hubspot.entry()["changed"]) == ([5], [asked(OBJECT, 5)])
    assert (hubspot.entry()["status"], hubspot.entry()["dropped"]) == (status, dropped)


def test_a_call_can_land_while_the_client_waits() -> None:
    hubspot = HubSpot()
    hubspot.order({"kind": "delay", "delayMs": 5_000, "landMs": 1_000})
    answers = hubspot.create(asked(OBJECT, 5))

    hubspot.wait(1)
    assert (answers, hubspot.limits()) == ([], [5])
    hubspot.wait(4)
    assert answers[0].status == 201


def test_without_a_number_or_with_0_a_call_is_carried_out_when_it_is_received() -> None:
    for effect in (GATEWAY_TIMEOUT, {**GATEWAY_TIMEOUT, "landMs": 0}):
        hubspot = HubSpot()
        hubspot.order(effect)
        hubspot.create(asked(OBJECT, 5))
        assert hubspot.limits() == [5]


def test_a_call_is_judged_by_what_holds_when_it_lands() -> None:
    hubspot = HubSpot()
    hubspot.order({**GATEWAY_TIMEOUT, "landMs": 60_000})
    hubspot.create(asked(OBJECT, 9), asked(LABEL, 7))
    hubspot.wait(30)
    hubspot.standin.settings = hubspot.standin.settings.changed({"ceiling": 8})
    hubspot.wait(30)

    assert (hubspot.limits(), hubspot.entry()["changed"]) == ([7], [asked(LABEL, 7)])


def test_a_landing_overwrites_what_was_set_meanwhile() -> None:
    hubspot = HubSpot()
    hubspot.order({**GATEWAY_TIMEOUT, "landMs": 60_000})
    hubspot.create(asked(OBJECT, 5))
    hubspot.create(asked(OBJECT, 6))
    hubspot.wait(59)
    assert hubspot.limits() == [6]
    hubspot.wait(1)
    assert hubspot.limits() == [5]


@pytest.mark.parametrize(("at_first", "at_last"), [("alone", "batch"), ("batch", "alone")])
def test_whether_a_call_was_refused_is_decided_when_it_lands(at_first: str, at_last: str) -> None:
    hubspot = HubSpot()
    hubspot.standin.settings = hubspot.standin.settings.changed({"badInput": at_first})
    hubspot.order({**GATEWAY_TIMEOUT, "landMs": 60_000})
    hubspot.create(asked(OBJECT, 5), asked(OBJECT, 0))
    hubspot.wait(1)
    hubspot.standin.settings = hubspot.standin.settings.changed({"badInput": at_last})
    hubspot.wait(59)

    refused = at_last == "batch"
    assert hubspot.entry()["refusal"] == ("VALIDATION_ERROR" if refused else None)
    assert hubspot.limits() == ([] if refused else [5])
    assert hubspot.entry()["status"] == 504


def test_after_a_reset_nothing_lands_any_more() -> None:
    hubspot = HubSpot()
    hubspot.order({**GATEWAY_TIMEOUT, "landMs": 60_000})
    hubspot.create(asked(OBJECT, 5))
    hubspot.standin.reset()
    hubspot.create(asked(LABEL, 2))
    hubspot.wait(60)
    assert hubspot.limits() == [2]


def test_a_refresh_token_can_be_rotated_after_the_client_was_cut_off() -> None:
    hubspot = HubSpot()
    app = {"clientId": "acme", "clientSecret": "s", "refreshToken": "r", "rotates": True}
    hubspot.standin.oauth.add(OAuthApp.of(app))
    hubspot.order({"kind": "drop", "applied": True, "landMs": 5_000}, operation="token")
    hubspot.refresh()
    hubspot.wait(4)
    assert len(list(hubspot.standin.tokens)) == 1
    hubspot.wait(1)
    assert len(list(hubspot.standin.tokens)) == 2

    again = hubspot.refresh()
    hubspot.wait(0)
    assert json.loads(again[0].body)["status"] == "BAD_REFRESH_TOKEN"


@given(st.integers(1, 600_000), st.integers(0, 600_000))
def test_the_answer_and_the_landing_each_have_their_time(land_ms: int, delay_ms: int) -> None:
    hubspot = HubSpot()
    hubspot.order({**GATEWAY_TIMEOUT, "landMs": land_ms, "delayMs": delay_ms})
    call = Call("create", "POST", "/", "Bearer t", b"", "2026-03", "deals", "contacts")

    exchange = hubspot.standin.receive(call)
    assert exchange.wait_seconds == delay_ms / 1000
    assert exchange.landing is not None
    assert exchange.landing.seconds == land_ms / 1000


def test_without_the_effect_nothing_is_to_be_done_later() -> None:
    hubspot = HubSpot()
    call = Call("create", "POST", "/", "Bearer t", b"", "2026-03", "deals", "contacts")
    assert hubspot.standin.receive(call).landing is None


@pytest.mark.parametrize(
    ("order", "named"),
    [
        ({"effect": {"kind": "drop", "landMs": 1}}, "landMs says when"),
        ({"effect": {"kind": "delay", "delayMs": 5, "late": True, "landMs": 1}}, "give one of them"),
        ({"effect": {"kind": "delay", "landMs": 600_001}}, "landMs"),
        ({"effect": {"kind": "delay", "landMs": -1}}, "landMs"),
        ({"operation": "token", "effect": {"kind": "delay", "landMs": 1}}, "answers none"),
    ],
)
def test_a_landing_that_cannot_be_is_refused(order: dict[str, object], named: str) -> None:
    hubspot = TestClient(create_app())
    answer = hubspot.post("/_standin/faults", json=order)
    assert answer.status_code == 400
    assert named in " ".join(answer.json()["errors"])


@pytest.mark.parametrize("effect", [GATEWAY_TIMEOUT, {"kind": "drop", "applied": True}])
def test_the_server_answers_first_and_carries_the_call_out_later(effect: dict[str, object]) -> None:
    planned: list[tuple[float, Callable[[], None]]] = []
    app = create_app("t", later=lambda seconds, act: planned.append((seconds, act)))
    hubspot = TestClient(app, headers={"Authorization": "Bearer t"})
    hubspot.post("/_standin/faults", json={"effect": {**effect, "landMs": 90_000}})

    with suppress(ConnectionEndedError):
        hubspot.post(f"{PAIR}/batch/create", json={"inputs": [asked(OBJECT, 5)]})
    assert hubspot.get(PAIR).json()["results"] == []
    ((seconds, land),) = planned
    land()
    assert seconds == 90
    assert hubspot.get(PAIR).json()["results"] == [{**OBJECT, "label": None, "userEnforcedMaxToObjectIds": 5}]


def test_the_server_lets_a_call_land_on_its_own_event_loop() -> None:
    app = create_app("t")
    standin: StandIn = app.state.standin
    standin.faults.add(FaultOrder(operation="create", effect=any_effect({**GATEWAY_TIMEOUT, "landMs": 1})))
    landed = asyncio.Event()

    class Watched(Portal):
        def commit(self, pair: Pair, changes: Mapping[TypeKey, int | None], moment: float) -> None:
            super().commit(pair, changes, moment)
            landed.set()

    standin.portals[1] = Watched()

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": json.dumps({"inputs": [asked(OBJECT, 5)]}).encode()}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            assert (message["status"], landed.is_set()) == (504, False)

    async def run() -> None:
        path = f"{PAIR}/batch/create"
        headers = [(b"authorization", b"Bearer t")]
        scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "query_string": b""}
        await app(scope, receive, send)
        await asyncio.wait_for(landed.wait(), 10)

    asyncio.run(run())
    assert standin.journal.entries()[-1].changed == [asked(OBJECT, 5)]
