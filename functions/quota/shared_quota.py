"""One quota for all workers: each portal's bucket in the table, out of which a worker takes a handful of slots."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from threading import Lock
from typing import Any

from aws.dynamodb import ConditionFailed, Item, Table
from model.errors import LedgerUnavailable, QuotaExhausted
from model.quota import Quota
from quota.bucket import HANDFUL, Bucket
from runtime.telemetry import count, logger

PREFIX = "budget#"
TIMER_RESOLUTION = 1  # millisecond before its moment in which a slot may be used: to sleep for less takes longer
KNOWN = 1_000  # milliseconds for which what was seen of a bucket is believed: by then a stop has reached every worker
LATELY = 1_000  # milliseconds; whoever has called for people in them takes twice as many slots at once
KEPT_SECONDS = 2 * 86_400  # longer than any stop
ALONE = 0.1  # of the quota, for a worker that cannot ask: as if ten worked at once
STOPPED = "HubSpot has told another of our workers to wait"
STOPPED_DAILY = "HubSpot has told another of our workers that the day's calls are used up"
USED_UP = "all calls that HubSpot allows until then are taken"


@dataclass
class _Share:
    """What this worker has of a portal's quota, and last saw of its bucket. Moments are in milliseconds since 1970."""

    bucket: Bucket
    busy: AbstractContextManager[object]  # one of the worker's threads writes at a time
    fence: int = 0
    seen_at: float = 0
    observed: tuple[Quota, float] | None = None  # what HubSpot last said to this worker of its quota, and when
    slots: deque[float] = field(default_factory=deque)
    used: deque[float] = field(default_factory=lambda: deque(maxlen=HANDFUL))


class SharedQuota:
    """Lets calls begin in the slots of each portal's bucket. One portal's pace holds up no other's.

    Where the table cannot be reached, this worker keeps a pace that is safe even if ten others do the same.
    """

    def __init__(
        self,
        table: Table,
        clock: Callable[[], datetime],
        sleep: Callable[[float], None],
        quota: Quota,
        head_room: float,
        *,
        new_lock: Callable[[], AbstractContextManager[object]] = Lock,
    ) -> None:
        self._table = table
        self._clock = clock
        self._sleep = sleep
        self._quota = quota
        self._head_room = head_room
        self._new_lock = new_lock
        self._shares: dict[str, _Share] = {}

    def wait(self, portal: str, *, ahead: int, urgent: bool, until: datetime) -> None:
        """Wait for a slot and use it; `ahead` calls are expected, this one included.

        Raises QuotaExhausted where it would be after `until`, or where HubSpot has told a worker to stop.
        """
        share = self._share(portal)
        while True:
            self._obey(portal, share)
            slot = self._slot(share)
            if slot is None:
                with share.busy:
                    self._take(portal, share, ahead, _ms(until), urgent=urgent)
                continue
            if (wait := slot - self._now()) > TIMER_RESOLUTION:
                self._sleep(wait / 1000)
            with share.busy:
                self._look(portal, share)
            self._obey(portal, share)
            share.used.append(self._now())
            return

    def observe(self, portal: str, quota: Quota, at: datetime) -> None:
        """Go by what HubSpot said of the quota when a call began; other workers are told with the next handful."""
        self._share(portal).observed = (quota, _ms(at))

    def block(self, portal: str, until: datetime, *, daily: bool) -> None:
        """HubSpot has answered 429: let no worker call before `until`, and all be slower for a while after that."""
        share = self._share(portal)
        share.slots.clear()
        while True:
            stopped = self._with_observed(share).stopped(_ms(until), self._now(), daily=daily)
            try:
                return self._write(portal, share, stopped)
            except ConditionFailed as failed:
                self._saw(share, failed.item)
            except LedgerUnavailable as error:
                self._unreachable(portal, error)
                share.bucket = stopped
                return None

    # ---------------------------------------------------------------------------------------------- this worker's share
    def _share(self, portal: str) -> _Share:
        return self._shares.setdefault(portal, _Share(Bucket(self._quota), self._new_lock()))

    def _obey(self, portal: str, share: _Share) -> None:
        if share.bucket.stop_until <= self._now():
            return
        share.slots.clear()
        self._look(portal, share)  # a stop that was for the day may have been lifted
        wait, daily = (share.bucket.stop_until - self._now()) / 1000, share.bucket.daily
        if wait > 0:
            raise QuotaExhausted(STOPPED_DAILY if daily else STOPPED, retry_after=wait, daily=daily, portal_wide=True)

    def _slot(self, share: _Share) -> float | None:
        """A slot in hand; those whose moment has passed are lost."""
        oldest = share.bucket.oldest_usable(self._now())
        while True:
            try:
                slot = share.slots.popleft()
            except IndexError:  # another thread may have had the last
                return None
            if slot >= oldest:
                return slot

    def _with_observed(self, share: _Share) -> Bucket:
        """The bucket as last seen, with what HubSpot has said since."""
        return share.bucket.observed(*share.observed) if share.observed else share.bucket

    # ------------------------------------------------------------------------------------------------------- the table
    def _take(self, portal: str, share: _Share, ahead: int, until: float, *, urgent: bool) -> None:
        """Take a handful of slots, if the first is not after `until`."""
        if share.slots:
            return  # another thread has taken some meanwhile
        now = self._now()
        lately = sum(now - used < LATELY for used in share.used) if urgent else 0
        bucket, slots = self._with_observed(share).reserved(max(ahead, 2 * lately), now, self._head_room, urgent=urgent)
        if slots[0] > until:
            raise QuotaExhausted(USED_UP, retry_after=(slots[0] - now) / 1000, portal_wide=True)
        try:
            self._write(portal, share, bucket)
        except ConditionFailed as failed:
            self._saw(share, failed.item)  # others were faster: once more
            return
        except LedgerUnavailable as error:
            self._unreachable(portal, error)
            share.bucket, slots = share.bucket.reserved(1, now, 1 - ALONE, urgent=False)
        share.slots.extend(slots)

    def _look(self, portal: str, share: _Share) -> None:
        """See the bucket as it is now, unless that was seen lately."""
        if self._now() - share.seen_at <= KNOWN:
            return
        try:
            self._saw(share, self._table.get(PREFIX + portal) or {})
        except LedgerUnavailable as error:
            self._unreachable(portal, error)

    def _write(self, portal: str, share: _Share, bucket: Bucket) -> None:
        fence = share.fence + 1
        self._table.update(
            PREFIX + portal,
            {"fence": fence, "bucket": _text(bucket), "expiresAt": int(self._now() / 1000) + KEPT_SECONDS},
            condition="attribute_not_exists(id) OR fence = :seen" if fence == 1 else "fence = :seen",
            condition_values={":seen": share.fence},
        )
        share.bucket, share.fence, share.seen_at = bucket, fence, self._now()

    def _saw(self, share: _Share, item: Item) -> None:
        share.fence = item.get("fence", 0)
        share.bucket = _bucket(item["bucket"]) if share.fence else Bucket(self._quota)
        share.seen_at = self._now()

    def _unreachable(self, portal: str, error: LedgerUnavailable) -> None:
        logger.warning("quota unreachable", portal=portal, error=str(error))
        count("QuotaUnreachable")

    def _now(self) -> float:
        return _ms(self._clock())


def _text(bucket: Bucket) -> str:
    first, last = min(bucket.handed_out, default=0), max(bucket.handed_out, default=-1)
    counts = [bucket.handed_out.get(at, 0) for at in range(first, last + 1)]
    return json.dumps(asdict(bucket) | {"handed_out": [first, counts]}, separators=(",", ":"))


def _bucket(text: str) -> Bucket:
    kept: dict[str, Any] = json.loads(text)
    first, counts = kept.pop("handed_out")
    return Bucket(Quota(**kept.pop("quota")), handed_out=dict(enumerate(counts, first)), **kept)


def _ms(moment: datetime) -> float:
    return moment.timestamp() * 1000
