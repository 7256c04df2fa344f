"""The retry policy, as one table, one predicate and one delay. Pure; the one loop is in batch_create/sending.py."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from model.errors import HubSpotFailure, Misconfigured, QuotaExhausted, Refused, Unavailable, Uncertain


@dataclass(frozen=True)
class Rule:
    """What a status asks of its caller; `floor` is the shortest wait in seconds before another try."""

    failure: type[HubSpotFailure]
    floor: float = 0
    portal_wide: bool = False  # the next call for the same portal would get the same answer


# HubSpot's documentation of errors and of usage limits; what it does not name is decided by its class below.
POLICY = {
    401: Rule(Misconfigured, portal_wide=True),
    403: Rule(Misconfigured),  # scopes can be lacking for one object type alone
    423: Rule(Unavailable, floor=2),  # locked: "wait at least two seconds"
    429: Rule(Unavailable, floor=10, portal_wide=True),  # the rolling window has ten seconds; DAILY: see not_before
    477: Rule(Unavailable, portal_wide=True),  # the account is being moved; Retry-After says how long
    # A proxy before HubSpot could not connect to it, or not speak TLS with it: nothing arrived.
    522: Rule(Unavailable),
    525: Rule(Unavailable),
    526: Rule(Unavailable),
}
REDIRECT = Rule(Misconfigured, portal_wide=True)  # the base URL is not HubSpot's
OTHER_4XX = Rule(Refused)
OTHER_5XX = Rule(Uncertain)  # 500, 502, 503, 504, 521, 523, 524: it may have been applied all the same

FIRST_CEILING = 2.0  # seconds; the longest first delay, doubled with each further run
LONGEST_CEILING = 900.0  # seconds; also the most that SQS delays a message
LONGEST_RETRY_AFTER = 2 * 86_400.0  # seconds; HubSpot speaks of up to a day, and no header shall park us for a year
# If the reset has only just passed, HubSpot's clock may be behind, or the portal's time zone may be set wrong.
DOUBTFUL_RESET = timedelta(hours=1)
RESET_RECHECK = timedelta(minutes=5)
PROBE = timedelta(hours=1)  # between two calls that show whether the day is new, where nobody knows its midnight; ours


def rule(status: int) -> Rule:
    """What a status that is not 2xx asks of its caller."""
    if status in POLICY:
        return POLICY[status]
    if status < 400:
        return REDIRECT
    return OTHER_4XX if status < 500 else OTHER_5XX


def not_before(failure: HubSpotFailure, tries: int, now: datetime, zone: tzinfo | None, jitter: float) -> datetime:
    """When a request that has been tried `tries` times may be tried again; `jitter` is from 0 to 1.

    Exponential with full jitter, so that what failed together does not come back together, and never earlier than
    HubSpot's own times to wait. A spent daily quota waits for midnight in the account's time `zone`, and where that is
    not known for an hour. A wait for the quota is not a failed try and makes no later wait longer.
    """
    if failure.daily and zone:
        return daily_reset(now, zone)
    if failure.daily and not isinstance(failure, QuotaExhausted):
        return now + PROBE
    if isinstance(failure, QuotaExhausted):
        tries = 1
    ceiling = min(LONGEST_CEILING, FIRST_CEILING * 2 ** min(tries - 1, 20))
    return now + timedelta(seconds=max(ceiling * jitter, min(failure.retry_after or 0, LONGEST_RETRY_AFTER)))


def daily_reset(now: datetime, zone: tzinfo) -> datetime:
    """The next midnight in `zone`, at which HubSpot's daily quota is full again; soon, where one has just passed."""
    local = now.astimezone(zone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    if now - midnight.astimezone(now.tzinfo) < DOUBTFUL_RESET:
        return now + RESET_RECHECK
    # By the calendar, not by 24 hours: a day with a change of the clock is an hour shorter or longer.
    return (midnight + timedelta(days=1)).astimezone(now.tzinfo)
