"""HubSpot's quota for one portal, shared by all workers: who may call when. Pure.

Calls begin in slots: moments that are handed out one after the other (the generic cell rate algorithm of ITU-T I.371,
used for reservations). So the calls of all workers are spread evenly over HubSpot's rolling window. What HubSpot counts
as used and we have not handed out is what other apps take. Moments, since 1970, and spans are in milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import exp, exp2

from model.quota import Quota

HANDFUL = 12  # slots at once at most: a worker that dies loses those it has
LONGEST_LEASE = 2_000  # the longest span of a handful: where calls are few, nobody takes many
LEAST_FREE = 2.0  # calls: one for an urgent call, and one for rounding at a window's edges
LEAST = 0.05  # of the quota, however much others take
LONGEST_SLOWDOWN = 8.0
RECOVERY = 10_000  # in which a slowdown is halved
SMOOTH = 2_000  # over which what others take is averaged
USABLE, USABLE_IN_QUIET = 300, 1_000  # after its moment, in which a slot may still be used; then it is lost
PROBED = 10_000  # in which the first call after a spent day goes alone; ours: HubSpot mostly answers within a second
BIN = 500  # the span in which slots that were handed out are counted together


@dataclass(frozen=True)
class Bucket:
    """What all workers of a portal share."""

    quota: Quota
    following: float = 0  # the first slot that nobody has
    handed_out: Mapping[int, int] = field(default_factory=dict)  # slots by half second: of the last window, and to come
    stop_until: float = 0
    daily: bool = False  # the stop is for the day's quota
    slowdown: float = 1
    slowed_at: float = 0
    jump_after: float = 0  # when an urgent call may next go before the others
    heard_at: float = 0  # when HubSpot last sent the quota
    others: float = 0  # calls that other apps make in a window

    def reserved(self, calls: int, now: float, head_room: float, *, urgent: bool) -> tuple[Bucket, list[float]]:
        """Hand out at most so many slots, and at least one. `head_room` is the share of the quota, from 0 to 1, that
        stays free. An urgent call goes at once if the free share allows it, and the others go later by as much."""
        window, free = self.quota.window, max(LEAST_FREE, head_room * self.quota.calls)
        first = max(self.following, now)
        mine = self._mine(first, free)
        step = window / mine
        bucket = replace(
            self,
            following=first + step,
            handed_out={at: count for at, count in self.handed_out.items() if at * BIN > now - 2 * window},
        )
        if self.daily and self.stop_until <= now:
            # Whether the day is new only a call can tell: one, and not all that have waited for it.
            return replace(bucket, handed_out=bucket._with(first), following=first + PROBED, daily=False), [first]
        jump_step = (first - now) / (free / 2)
        if urgent and first > now and self.jump_after <= first - jump_step:
            # The next slot moves back to make up for it. Until then the call uses the free share, which is small.
            jump_after = max(self.jump_after, now) + jump_step
            return replace(bucket, handed_out=bucket._with(now), jump_after=jump_after), [now]
        slots: list[float] = []
        most, slot = max(1, min(calls, HANDFUL, int(LONGEST_LEASE / step))), first + step * self._delay(first, free)
        while len(slots) < most:
            # More may have gone out before, when other apps took less: then the window must have room again.
            if bucket._ours(slot - window, slot) <= mine + 1:
                slots.append(slot)
                bucket = replace(bucket, following=slot + step, handed_out=bucket._with(slot))
            slot += step
        return bucket, slots

    def oldest_usable(self, now: float) -> float:
        """The oldest slot that may still be used now. While half of the window is free, late calls cannot fill it."""
        quiet = self._ours(now - self.quota.window, now) < self.quota.calls / 2
        return now - (USABLE_IN_QUIET if quiet else USABLE)

    def observed(self, quota: Quota, at: float) -> Bucket:
        """The bucket after HubSpot sent its quota with the answer to a call that began at `at`."""
        if at <= self.heard_at:
            return self
        bucket, elapsed = replace(self, quota=quota, heard_at=at), at - self.heard_at
        if quota.remaining is None:
            return bucket
        others = max(0.0, quota.calls - quota.remaining - self._ours(at - quota.window, at))
        if elapsed >= quota.window:
            return replace(bucket, others=others)
        share = 1 - exp(-elapsed / SMOOTH)
        return replace(bucket, others=self.others + share * (others - self.others))

    def blocked(self, until: float, now: float, *, daily: bool) -> Bucket:
        """The bucket after a 429: nobody calls before `until`, and all are slower for a while after it. Several 429s
        during one stop slow the workers down once."""
        first = not daily and self.stop_until <= now
        slowdown = min(LONGEST_SLOWDOWN, 2 * self._slow(now)) if first else self.slowdown
        return replace(
            self,
            stop_until=max(until, self.stop_until),
            daily=daily if until > self.stop_until else self.daily,
            following=max(until, self.stop_until),
            handed_out={at: count for at, count in self.handed_out.items() if at * BIN <= now},
            slowdown=slowdown,
            slowed_at=now if first else self.slowed_at,
        )

    def _mine(self, at: float, free: float) -> float:
        """Calls per window from a moment on, for all our workers together."""
        calls = self.quota.calls
        others = self.others if self._heard_lately(at) else 0
        return max(LEAST * calls, calls - free - others) / self._slow(at)

    def _delay(self, at: float, free: float) -> float:
        """How many steps a handful is delayed, where HubSpot says that less remains than is to stay free. The call
        in hand does not count. The delay is once for a handful, not for each of its slots."""
        if self.quota.remaining is None or not self._heard_lately(at):
            return 0.0
        return max(0.0, free / (self.quota.remaining + 1) - 1)

    def _heard_lately(self, at: float) -> bool:
        return at - self.heard_at < 2 * self.quota.window

    def _slow(self, now: float) -> float:
        """How many times longer than usual a step is now: twice after a 429, then less and less."""
        return 1 + (self.slowdown - 1) * exp2(min(0.0, self.slowed_at - now) / RECOVERY)

    def _with(self, slot: float) -> dict[int, int]:
        at = int(slot // BIN)
        return {**self.handed_out, at: self.handed_out.get(at, 0) + 1}

    def _ours(self, start: float, end: float) -> float:
        """How many slots were handed out between two moments."""
        return sum(
            count * max(0.0, min(end, (at + 1) * BIN) - max(start, at * BIN)) / BIN
            for at, count in self.handed_out.items()
        )
