"""Reads of the stand-in that show the present or the past by chance, without HTTP."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.hubspot.access import Token
from local.hubspot.service import Call, StandIn

NOON = 1_800_100_800.0
LAG = 60.0
OBJECT, LABEL = ("HUBSPOT_DEFINED", 3), ("USER_DEFINED", 35)


class HubSpot:
    """A stand-in whose reads flap for a minute, and whose clock moves only when told."""

    def __init__(self, seed: int = 0, **switches: object) -> None:
        self.moment = NOON
        self.standin = StandIn([Token(name="t", token="t")], lambda: self.moment, lambda: "an-id", seed=seed)
        flapping = {"readLagSeconds": LAG, "readFlaps": True, "tenSecondlyLimit": None, **switches}
        self.standin.settings = self.standin.settings.changed(flapping)

    def asked(self, operation: str, body: bytes = b"", pair: tuple[str | None, str | None] = ("0-3", "0-1")) -> Any:
        call = Call(operation, "POST", "/", "Bearer t", body, "2026-03", *pair)
        return json.loads(self.standin.receive(call).finish().body)

    def set_limits(self, *numbers: int) -> None:
        inputs = [
            {"category": category, "typeId": type_id, "maxToObjectIds": number}
            for (category, type_id), number in zip((OBJECT, LABEL), numbers, strict=False)
        ]
        self.asked("create", json.dumps({"inputs": inputs}).encode())

    def limits(self, pair: tuple[str | None, str | None] = ("0-3", "0-1")) -> tuple[int, ...]:
        rows = self.asked("read", pair=pair)["results"]
        return tuple(row["userEnforcedMaxToObjectIds"] for row in rows)


@pytest.mark.parametrize("pair", [("0-3", "0-1"), (None, None)])
def test_a_read_within_the_lag_shows_the_present_or_the_past_and_never_both(
    pair: tuple[str | None, str | None],
) -> None:
    hubspot = HubSpot()
    hubspot.set_limits(7, 3)
    hubspot.moment += LAG
    hubspot.set_limits(8, 4)
    hubspot.moment += LAG - 1

    seen = [hubspot.limits(pair) for _ in range(50)]
    assert set(seen) == {(7, 3), (8, 4)}
    assert len(set(pairwise(seen))) == 4  # there and back


def test_a_read_after_the_lag_shows_the_present() -> None:
    hubspot = HubSpot()
    hubspot.set_limits(7)
    hubspot.moment += LAG
    assert {hubspot.limits() for _ in range(50)} == {(7,)}


def test_without_flapping_every_read_within_the_lag_shows_the_past() -> None:
    hubspot = HubSpot(readFlaps=False)
    hubspot.set_limits(7)
    assert {hubspot.limits() for _ in range(50)} == {()}


def test_without_a_lag_nothing_flaps() -> None:
    hubspot = HubSpot(readLagSeconds=0)
    hubspot.set_limits(7)
    assert {hubspot.limits() for _ in range(50)} == {(7,)}


@given(st.integers())
def test_a_run_can_be_repeated_after_a_reset_and_by_its_seed(seed: int) -> None:
    def run(hubspot: HubSpot) -> list[tuple[int, ...]]:
        hubspot.set_limits(7)
        return [hubspot.limits() for _ in range(20)]

    hubspot = HubSpot(seed)
    first = run(hubspot)
    hubspot.standin.reset()
    assert run(hubspot) == run(HubSpot(seed)) == first
