"""What object type a name stands for is known, remembered or asked for, and asked for no more often than it must be."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws.dynamodb import Table
from batch_create.authorised_call import AuthorisedCalls
from hubspot_api import object_types
from hubspot_api.object_types import ObjectTypes
from ledger.object_types import TypeMemory
from model.errors import HubSpotFailure, LedgerUnavailable, Misconfigured, QuotaExhausted, Refused, Unavailable
from model.object_types import IDS
from tests.support.fakes import Clock, FakeHubSpot, Service, failed

CAR = "p_car"


class Scene(Service):
    """A deployment whose HubSpot has a custom type, and its environments."""

    def __init__(self, **types: str | HubSpotFailure) -> None:
        super().__init__(FakeHubSpot(types=types or {CAR: "2-456"}))

    def environment(self, memory: Any = None) -> ObjectTypes:
        return ObjectTypes(memory or TypeMemory(self.table), self._calls, self.clock)

    def _calls(self, deadline: datetime) -> AuthorisedCalls:
        return AuthorisedCalls(self.ports, deadline, urgent=True)

    @property
    def asked(self) -> list[str]:
        return self.hubspot.types_asked


class Unreachable:
    """The ledger, while it cannot be reached."""

    def recall(self, portal: str, name: str, now: datetime) -> str | None:
        raise LedgerUnavailable("throttled")

    def remember(self, portal: str, name: str, type_id: str, now: datetime) -> None:
        raise LedgerUnavailable("throttled")


def refused(resolve: Callable[[], object]) -> HubSpotFailure:
    with pytest.raises(HubSpotFailure) as caught:
        resolve()
    return caught.value


@given(st.sampled_from(sorted(IDS)))
def test_hubspots_own_names_are_known_without_any_memory(name: str) -> None:
    scene = Scene()
    types = scene.environment(Unreachable())

    assert types.known("acme", name) == types.resolve("acme", name, 5) == IDS[name]
    assert types.known("acme", "2-456") == types.resolve("acme", "2-456", 5) == "2-456"
    assert scene.asked == []


def test_given_a_name_that_only_hubspot_knows_when_it_was_never_asked_for_it_is_not_known() -> None:
    scene = Scene()

    assert scene.environment().known("acme", CAR) is None
    assert scene.asked == []


def test_given_a_name_when_it_was_resolved_everybody_knows_it() -> None:
    scene = Scene()
    types = scene.environment()

    assert types.resolve("acme", CAR, 5) == "2-456"
    assert types.resolve("acme", CAR, 5) == "2-456"

    assert scene.asked == [CAR]
    assert types.known("acme", CAR) == scene.environment().known("acme", CAR) == "2-456"
    assert types.known("default", CAR) is None


def test_an_environment_believes_itself_for_an_hour_and_the_ledger_for_a_day() -> None:
    scene = Scene()
    types, cold = scene.environment(), scene.environment
    types.resolve("acme", CAR, 5)
    scene.hubspot.types[CAR] = "2-789"  # deleted, and made anew

    scene.clock.advance(3_599)
    assert types.resolve("acme", CAR, 5) == cold().resolve("acme", CAR, 5) == "2-456"
    scene.clock.advance(86_400 - 3_599 - 1)
    assert cold().resolve("acme", CAR, 5) == "2-456"
    scene.clock.advance(1)
    assert types.known("acme", CAR) is None
    assert types.resolve("acme", CAR, 5) == cold().resolve("acme", CAR, 5) == "2-789"
    assert scene.asked == [CAR, CAR]


def test_without_the_ledger_hubspot_is_asked_and_the_environment_remembers() -> None:
    scene = Scene()
    types = scene.environment(Unreachable())

    assert types.known("acme", CAR) is None
    assert [types.resolve("acme", CAR, 5) for _ in range(3)] == ["2-456"] * 3
    assert scene.asked == [CAR]


def test_a_name_that_hubspot_does_not_know_is_refused_in_our_words_and_for_half_a_minute_not_asked_again() -> None:
    scene = Scene()
    types = scene.environment()

    first = refused(lambda: types.resolve("acme", "p_van", 5))
    scene.clock.advance(29)
    again = refused(lambda: types.resolve("acme", "p_van", 5))

    assert scene.asked == ["p_van"]
    for failure in (first, again):
        assert type(failure) is Refused
        assert (failure.message, failure.http_status) == ("HubSpot does not know the object type p_van", 404)
        assert failure.correlation_id == "c-404"
    assert first is not again
    assert types.known("acme", "p_van") is None

    scene.hubspot.types["p_van"] = "2-5"
    scene.clock.advance(1)
    assert types.resolve("acme", "p_van", 5) == "2-5"


def test_a_refusal_is_of_one_environment_and_of_one_portal() -> None:
    scene = Scene()
    types = scene.environment()

    for asked in (types, scene.environment()):
        for portal in ("acme", "default"):
            refused(lambda asked=asked, portal=portal: asked.resolve(portal, "p_van", 5))  # type: ignore[misc]

    assert scene.asked == ["p_van"] * 4


@pytest.mark.parametrize(("status", "kind"), [(400, Refused), (403, Misconfigured), (429, Unavailable)])
def test_any_other_failure_comes_as_it_is(status: int, kind: type[HubSpotFailure]) -> None:
    failure = refused(lambda: Scene(**{CAR: failed(status, "words")}).environment().resolve("acme", CAR, 5))

    assert type(failure) is kind
    assert "words" in failure.message
    assert "does not know" not in failure.message


def test_a_failure_that_may_pass_is_not_remembered() -> None:
    scene = Scene(**{CAR: failed(503)})
    types = scene.environment()

    refused(lambda: types.resolve("acme", CAR, 5))
    scene.hubspot.types[CAR] = "2-456"

    assert types.resolve("acme", CAR, 5) == "2-456"


def test_after_a_401_it_is_asked_once_more_with_a_fresh_token() -> None:
    scene = Scene(**{CAR: failed(401)})

    failure = refused(lambda: scene.environment().resolve("acme", CAR, 5))

    assert scene.hubspot.tokens == ["old", "new"]
    assert "tokens/acme" in failure.message


def test_a_question_takes_a_slot_of_the_shared_quota() -> None:
    scene = Scene()
    quota: Any = scene.ports.quota

    scene.environment().resolve("acme", CAR, 5)

    assert quota.told == [("wait", "acme", 1, True)]


def test_a_429_stops_all_workers() -> None:
    scene = Scene(**{CAR: failed(429)})
    quota: Any = scene.ports.quota

    refused(lambda: scene.environment().resolve("acme", CAR, 5))

    assert [told[0] for told in quota.told] == ["wait", "block"]


def test_an_environment_remembers_so_many_names_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_types, "MOST", 3)
    scene = Scene()
    scene.hubspot.types = {f"p_{number}": f"2-{number}" for number in range(1, 5)}
    types = scene.environment(Unreachable())

    for number in range(1, 5):
        types.resolve("acme", f"p_{number}", 5)

    assert [types.known("acme", f"p_{number}") for number in range(1, 5)] == [None, "2-2", "2-3", "2-4"]


def test_given_several_names_when_hubspot_is_asked_they_share_the_time(clock: Clock) -> None:
    deadlines: list[tuple[str, datetime]] = []

    class Slow:
        def __init__(self, deadline: datetime) -> None:
            self._deadline = deadline

        def object_type(self, portal: str, name: str) -> str:
            deadlines.append((name, self._deadline))
            clock.advance(3)
            if clock() > self._deadline:
                raise QuotaExhausted("no time is left")
            return "2-456"

    start = clock()
    ask = ObjectTypes(Unreachable(), Slow, clock).asking(5)

    assert [ask("acme", name) for name in ("deals", "p_one", "p_two")] == ["0-3", "2-456", None]
    assert deadlines == [(name, start + timedelta(seconds=5)) for name in ("p_one", "p_two")]


def test_what_hubspot_does_not_tell_is_none_to_who_asks_for_several() -> None:
    scene = Scene()
    scene.hubspot.types["p_bus"] = failed(503)
    ask = scene.environment().asking(5)

    assert [ask("acme", name) for name in (CAR, "p_van", "p_bus")] == ["2-456", None, None]


def test_the_table_is_read_once_for_what_it_knows(table: Table, clock: Clock) -> None:
    class Counted(TypeMemory):
        reads = 0

        def recall(self, portal: str, name: str, now: datetime) -> str | None:
            self.reads += 1
            return super().recall(portal, name, now)

    memory = Counted(table)
    memory.remember("acme", CAR, "2-456", clock())
    types = Scene().environment(memory)

    assert [types.known("acme", CAR) for _ in range(3)] == ["2-456"] * 3
    assert memory.reads == 1
