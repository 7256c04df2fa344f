"""The registry of portals: every name that was ever used, and since when each has no secret."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from ledger.portals import SEEN_AGAIN, PortalRegistry
from model.validation import portal_name
from tests.support.fakes import START, Clock, in_memory

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


def registry() -> PortalRegistry:
    return PortalRegistry(in_memory(Clock()))


@given(st.lists(st.from_regex(portal_name.pattern, fullmatch=True), max_size=8))
def test_each_portal_that_was_used_is_listed_once(names: list[str]) -> None:
    known = registry()

    for name in names:
        known.add(name, START)

    assert list(known.names()) == sorted(set(names))
    assert all(known.knows(name) for name in names)


def test_of_a_portal_that_was_never_used_nothing_is_kept() -> None:
    known = registry()

    assert known.missing_since("acme", START) is None
    assert not known.knows("acme")
    assert list(known.names()) == []


def test_a_secret_is_missing_since_it_was_missed_first() -> None:
    known = registry()
    known.add("acme", START)

    for step in (timedelta(), SECOND, MINUTE, HOUR, 2 * HOUR):
        assert known.missing_since("acme", START + step) == START


def test_a_secret_that_was_there_again_is_missing_anew() -> None:
    known = registry()
    known.add("acme", START)
    known.missing_since("acme", START)
    known.add("acme", START + MINUTE)

    assert known.missing_since("acme", START + HOUR) == START + HOUR


def test_a_secret_that_nobody_has_looked_for_may_have_been_there_in_between() -> None:
    known = registry()
    known.add("acme", START)
    known.missing_since("acme", START)

    assert known.missing_since("acme", START + SEEN_AGAIN) == START + SEEN_AGAIN
