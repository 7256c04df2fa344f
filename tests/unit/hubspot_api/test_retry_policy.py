"""The retry policy: what each status asks, and when a request may be tried again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubspot_api.retry_policy import (
    DOUBTFUL_RESET,
    FIRST_CEILING,
    LONGEST_CEILING,
    RESET_RECHECK,
    Rule,
    daily_reset,
    not_before,
    rule,
)
from model.errors import HubSpotFailure, Misconfigured, QuotaExhausted, Refused, Unavailable, Uncertain
from tests.support.fakes import START, failed

TABLE = {
    **dict.fromkeys((301, 302, 303, 304, 307, 308), Rule(Misconfigured, portal_wide=True)),
    **dict.fromkeys((400, 402, 404, 405, 406, 408, 409, 410, 413, 414, 415, 418, 422, 431, 451, 499), Rule(Refused)),
    401: Rule(Misconfigured, portal_wide=True),
    403: Rule(Misconfigured),
    423: Rule(Unavailable, floor=2),
    429: Rule(Unavailable, floor=10, portal_wide=True),
    477: Rule(Unavailable, portal_wide=True),
    **dict.fromkeys((522, 525, 526), Rule(Unavailable)),
    **dict.fromkeys((500, 501, 502, 503, 504, 520, 521, 523, 524, 527, 530, 599), Rule(Uncertain)),
}
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Havana",  # its clocks change at midnight: one midnight is twice, one is not at all
    "America/Santiago",  # the same, a half year later
    "Australia/Lord_Howe",  # by half an hour
    "Asia/Kathmandu",  # 5:45 from UTC
    "Pacific/Kiritimati",  # 14 hours from UTC
]
zones = st.sampled_from(ZONES).map(ZoneInfo)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
changes_of_the_clock = st.builds(
    lambda day, seconds: datetime.fromisoformat(f"{day}T00:00:00+00:00") + timedelta(seconds=seconds),
    st.sampled_from(["2026-03-29", "2026-10-25", "2026-03-08", "2026-11-01", "2026-09-06", "2026-04-05"]),
    st.integers(-86_400, 172_800),
)
jitters = st.floats(0, 1)
tries = st.integers(1, 10_000)
kinds = st.sampled_from([Unavailable, Uncertain, Misconfigured])


@pytest.mark.parametrize(("status", "expected"), TABLE.items())
def test_each_status_asks_what_the_table_says(status: int, expected: Rule) -> None:
    assert rule(status) == expected


@given(st.integers(300, 999))
def test_no_status_is_without_a_rule_and_only_what_is_surely_not_applied_may_be_sent_again_blindly(status: int) -> None:
    asked = rule(status)

    if status >= 500 and status not in (522, 525, 526):
        assert asked.failure is Uncertain
    assert asked.floor >= 0


@given(kinds, tries, moments, zones, jitters, st.none() | st.floats(0, 90_000))
def test_a_delay_has_full_jitter_below_a_ceiling_and_is_never_shorter_than_asked(
    kind: type[HubSpotFailure], tried: int, now: datetime, zone: tzinfo, jitter: float, asked: float | None
) -> None:
    waits = (not_before(kind("words", retry_after=asked), tried, now, zone, jitter) - now).total_seconds()

    ceiling = min(LONGEST_CEILING, FIRST_CEILING * 2 ** min(tried - 1, 30))
    assert waits == pytest.approx(max(ceiling * jitter, asked or 0), abs=1e-5)
    assert waits >= (asked or 0) - 1e-6


def test_ceilings_double_from_two_seconds_to_a_quarter_of_an_hour() -> None:
    longest = [(not_before(Unavailable("words"), n, START, UTC, 1.0) - START).total_seconds() for n in range(1, 13)]

    assert longest == [2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]
    assert {not_before(Unavailable("words"), n, START, UTC, 0.0) for n in range(1, 13)} == {START}


@pytest.mark.parametrize(
    ("failure", "seconds"),
    [(failed(423), 2), (failed(429), 10), (failed(477, retry_after=86_400), 86_400), (failed(503), 0)],
    ids=["423", "429", "477", "503"],
)
def test_hubspots_own_time_to_wait_is_the_least(failure: HubSpotFailure, seconds: float) -> None:
    assert not_before(failure, 1, START, UTC, 0.0) == START + timedelta(seconds=seconds)


@pytest.mark.parametrize("seconds", [172_801.0, 1e13, 1e300, float("inf")])
def test_no_time_to_wait_is_longer_than_two_days(seconds: float) -> None:
    assert not_before(failed(477, retry_after=seconds), 1, START, UTC, 1.0) == START + timedelta(days=2)


@given(tries, moments, zones, jitters)
def test_a_spent_daily_quota_waits_for_the_reset_whatever_else_is_said(
    tried: int, now: datetime, zone: tzinfo, jitter: float
) -> None:
    assert not_before(failed(429, daily=True), tried, now, zone, jitter) == daily_reset(now, zone)


@given(tries, moments, jitters)
def test_a_spent_daily_quota_is_looked_at_each_hour_where_nobody_knows_midnight(
    tried: int, now: datetime, jitter: float
) -> None:
    assert not_before(failed(429, daily=True), tried, now, None, jitter) == now + timedelta(hours=1)
    others = QuotaExhausted("another worker was told", daily=True, retry_after=600)
    assert not_before(others, tried, now, None, 0) == now + timedelta(minutes=10)


@given(moments | changes_of_the_clock, zones)
def test_the_reset_is_the_first_moment_of_the_next_day_there_or_soon_after_one(now: datetime, zone: ZoneInfo) -> None:
    reset = daily_reset(now, zone)

    assert reset > now
    if reset == now + RESET_RECHECK:  # at most an hour after a day began
        assert (now - DOUBTFUL_RESET).astimezone(zone).date() < now.astimezone(zone).date() or _midnight_was_twice(
            now, zone
        )
    else:
        before = (reset - timedelta(microseconds=1)).astimezone(zone)
        assert before.date() == now.astimezone(zone).date()
        assert reset.astimezone(zone).date() == before.date() + timedelta(days=1)


def _midnight_was_twice(now: datetime, zone: ZoneInfo) -> bool:
    """Whether the clock was put back over midnight within the last hour, as in Havana."""
    return now.astimezone(zone).utcoffset() != (now - DOUBTFUL_RESET).astimezone(zone).utcoffset()


@pytest.mark.parametrize(
    ("zone", "now", "reset"),
    [
        ("UTC", "2026-11-23T09:00Z", "2026-11-24T00:00Z"),
        ("Europe/Berlin", "2026-11-23T09:00Z", "2026-11-23T23:00Z"),
        ("America/New_York", "2026-11-23T09:00Z", "2026-11-24T05:00Z"),
        # The day of the change of the clock has 23 or 25 hours.
        ("Europe/Berlin", "2026-03-28T23:00Z", "2026-03-28T23:05Z"),
        ("Europe/Berlin", "2026-03-29T00:00Z", "2026-03-29T22:00Z"),
        ("Europe/Berlin", "2026-10-24T23:00Z", "2026-10-25T23:00Z"),
        ("America/New_York", "2026-03-08T06:00Z", "2026-03-09T04:00Z"),
        ("America/New_York", "2026-11-01T05:30Z", "2026-11-02T05:00Z"),  # in the hour that comes twice
        ("America/Havana", "2026-03-07T12:00Z", "2026-03-08T05:00Z"),  # that day begins at 1:00
        ("America/Havana", "2026-03-08T12:00Z", "2026-03-09T04:00Z"),
    ],
)
def test_a_reset_follows_the_calendar_of_the_accounts_zone(zone: str, now: str, reset: str) -> None:
    assert daily_reset(datetime.fromisoformat(now), ZoneInfo(zone)) == datetime.fromisoformat(reset)


@pytest.mark.parametrize(("minutes", "waits"), [(0, 5), (1, 5), (59, 5), (60, 23 * 60), (61, 23 * 60 - 1)])
def test_a_quota_that_is_spent_just_after_midnight_is_asked_for_again_soon(minutes: int, waits: int) -> None:
    now = datetime(2026, 11, 24, tzinfo=UTC) + timedelta(minutes=minutes)

    assert daily_reset(now, UTC) - now == timedelta(minutes=waits)
