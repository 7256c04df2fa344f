"""Slots of a portal's quota: properties of the pure rules, and of what HubSpot says."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubspot_api.reply import quota_from
from model.quota import Quota
from quota.bucket import HANDFUL, PROBED, Bucket

NOW = 1_795_500_000_000.0  # milliseconds since 1970
WINDOW = 10_000
HEAD_ROOM = 0.03
# What workers ask for: how long after the last, how many calls, whether someone waits for the answer.
wishes = st.lists(st.tuples(st.integers(0, 3_000), st.integers(1, 40), st.booleans()), max_size=120)


def most_in_a_window(slots: list[float]) -> int:
    found, recent = 0, deque[float]()
    for slot in sorted(slots):
        recent.append(slot)
        while recent[0] <= slot - WINDOW:
            recent.popleft()
        found = max(found, len(recent))
    return found


@given(wishes, st.sampled_from([20, 100, 190, 250]))
def test_whatever_workers_ask_for_no_window_has_more_calls_than_the_quota(
    asked: list[tuple[int, int, bool]], calls: int
) -> None:
    bucket, now, slots = Bucket(Quota(calls)), NOW, list[float]()
    for later, wanted, urgent in asked:
        now += later
        bucket, taken = bucket.reserved(wanted, now, HEAD_ROOM, urgent=urgent)
        slots += taken

    assert most_in_a_window(slots) <= calls


@given(wishes)
def test_a_slot_is_never_handed_out_twice_nor_before_now_and_a_handful_is_the_most(
    asked: list[tuple[int, int, bool]],
) -> None:
    bucket, now, seen = Bucket(Quota(100)), NOW, set[float]()
    for later, wanted, urgent in asked:
        now += later
        bucket, taken = bucket.reserved(wanted, now, HEAD_ROOM, urgent=urgent)

        assert 1 <= len(taken) <= min(wanted, HANDFUL)
        assert min(taken) >= now
        if not urgent:
            assert not seen.intersection(taken)
            seen.update(taken)


def test_under_constant_demand_97_of_100_calls_are_handed_out_evenly() -> None:
    bucket, slots = Bucket(Quota(100)), list[float]()
    while len(slots) < 970:
        bucket, taken = bucket.reserved(HANDFUL, NOW, HEAD_ROOM, urgent=False)
        slots += taken

    gaps = {round(after - before) for before, after in pairwise(slots)}
    assert gaps == {103}
    assert slots[-1] - NOW == pytest.approx(100_000, rel=0.01)


def test_who_waits_for_an_answer_goes_before_a_long_line_and_the_line_makes_room_for_it() -> None:
    bucket = Bucket(Quota(100))
    for _ in range(4):
        bucket, _ = bucket.reserved(HANDFUL, NOW, HEAD_ROOM, urgent=False)

    after, (slot,) = bucket.reserved(1, NOW + 50, HEAD_ROOM, urgent=True)

    assert slot == NOW + 50
    assert after.following - bucket.following == pytest.approx(WINDOW / 97)


def test_those_who_wait_may_not_all_go_before_the_line() -> None:
    bucket = Bucket(Quota(100))
    for _ in range(4):
        bucket, _ = bucket.reserved(HANDFUL, NOW, HEAD_ROOM, urgent=False)

    slots = []
    for _ in range(20):
        bucket, taken = bucket.reserved(1, NOW, HEAD_ROOM, urgent=True)
        slots += taken

    assert sum(slot == NOW for slot in slots) <= 3  # what is left free
    assert max(slots) - NOW < WINDOW


@given(st.integers(0, 150))
def test_what_others_take_is_left_to_them(others: int) -> None:
    bucket = Bucket(Quota(190)).observed(Quota(190, 10, remaining=190 - others), NOW)

    slots: list[float] = []
    while len(slots) < 60:
        bucket, taken = bucket.reserved(HANDFUL, NOW, HEAD_ROOM, urgent=False)
        slots += taken

    per_window = (len(slots) - 1) / (slots[-1] - slots[0]) * WINDOW
    assert per_window == pytest.approx(max(190 * 0.05, 190 * 0.97 - others), rel=0.02)


@pytest.mark.parametrize(("remaining", "steps"), [(0, 2), (1, 0.5), (2, 0), (50, 0)])
def test_where_little_remains_a_handful_is_held_back_once_and_keeps_its_pace(remaining: int, steps: float) -> None:
    told = replace(Bucket(Quota(100)), quota=Quota(100, 10, remaining), heard_at=NOW)

    _, slots = told.reserved(HANDFUL, NOW, HEAD_ROOM, urgent=False)

    pace = WINDOW / 97
    assert slots == pytest.approx([NOW + (steps + place) * pace for place in range(HANDFUL)])


def test_a_late_slot_is_usable_for_longer_while_half_of_the_window_is_free() -> None:
    bucket = Bucket(Quota(100))
    ages = []
    for _ in range(9):
        bucket, _ = bucket.reserved(HANDFUL, NOW, HEAD_ROOM, urgent=False)
        ages.append(bucket.following - bucket.oldest_usable(bucket.following))

    assert ages == pytest.approx([1_000] * 4 + [300] * 5)


def test_our_own_calls_are_not_taken_for_those_of_others() -> None:
    bucket, _ = Bucket(Quota(100)).reserved(HANDFUL, NOW, HEAD_ROOM, urgent=False)

    told = bucket.observed(Quota(100, 10, remaining=90), NOW + 1_500)

    assert told.others == 0


def test_an_older_word_of_hubspot_does_not_replace_a_newer_one() -> None:
    newer = Bucket(Quota(100)).observed(Quota(190, 10, 50), NOW)

    assert newer.observed(Quota(100, 10, 99), NOW - 1) == newer


def test_a_429_halves_the_pace_which_grows_again_to_what_it_was() -> None:
    def step(bucket: Bucket, at: float) -> float:
        _, slots = bucket.reserved(2, at, HEAD_ROOM, urgent=False)
        return slots[1] - slots[0]

    stopped = Bucket(Quota(100)).blocked(NOW, NOW, daily=False)

    assert step(stopped, NOW) == pytest.approx(2 * WINDOW / 97)
    assert WINDOW / 97 < step(stopped, NOW + 10_000) < 2 * WINDOW / 97
    assert step(stopped, NOW + 200_000) == pytest.approx(WINDOW / 97, rel=0.01)


def test_several_workers_that_hear_of_one_429_are_one_surprise() -> None:
    once = Bucket(Quota(100)).blocked(NOW + 10_000, NOW, daily=False)
    twice = once.blocked(NOW + 10_100, NOW + 100, daily=False)

    assert twice.slowdown == once.slowdown == 2
    assert twice.stop_until == NOW + 10_100


def test_after_a_spent_day_one_call_goes_alone_and_shows_whether_the_day_is_new() -> None:
    midnight = NOW + 3_600_000
    stopped = Bucket(Quota(100)).blocked(midnight, NOW, daily=True)

    probed, slots = stopped.reserved(HANDFUL, midnight, HEAD_ROOM, urgent=False)
    assert slots == [midnight]
    _, following = probed.reserved(HANDFUL, midnight, HEAD_ROOM, urgent=False)
    assert following[0] >= midnight + PROBED
    assert len(following) > 1


def test_a_spent_day_outlasts_the_stop_of_a_window_and_slows_nothing_down() -> None:
    stopped = Bucket(Quota(100)).blocked(NOW + 3_600_000, NOW, daily=True).blocked(NOW + 10_000, NOW, daily=False)

    assert (stopped.stop_until, stopped.daily, stopped.slowdown) == (NOW + 3_600_000, True, 1)
    assert stopped.following == NOW + 3_600_000


@pytest.mark.parametrize(
    ("maximum", "interval", "remaining", "said"),
    [
        ("190", "10000", "57", Quota(190, 10, 57)),
        ("190", "10000", None, Quota(190, 10, None)),
        ("190", "10000", "-1", Quota(190, 10, None)),
        ("0", "10000", "0", None),
        ("190", "0", "57", None),
        ("many", "10000", "57", None),
        ("99999999999", "10000", "57", None),
        (None, None, None, None),
    ],
)
def test_hubspots_headers_count_only_where_they_make_sense(
    maximum: str | None, interval: str | None, remaining: str | None, said: Quota | None
) -> None:
    told = {"Max": maximum, "Interval-Milliseconds": interval, "Remaining": remaining}

    headers = {f"X-HubSpot-RateLimit-{name}": value for name, value in told.items() if value is not None}

    assert quota_from(headers) == said
