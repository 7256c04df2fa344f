"""One quota for all workers: each portal's bucket in the table, out of which a worker takes a handful of slots."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
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
KNOWN = 1_000  # milliseconds for which a read bucket is believed: by then a stop has reached every worker
LATELY = 1_000  # milliseconds; a worker takes twice as many slots at once as it made urgent calls in them
KEPT_SECONDS = 2 * 86_400  # longer than any stop
ALONE = 0.1  # of the quota, for a worker that cannot reach the table: as if ten worked at once
STOPPED = "HubSpot has told another of our workers to wait"
STOPPED_DAILY = "HubSpot has told another of our workers that the day's calls are used up"
USED_UP = "all calls that HubSpot allows until then are taken"


@dataclass
class _Share:
    """This worker's slots of a portal's quota, and the bucket as last read. Moments are in milliseconds since 1970."""

    bucket: Bucket
    busy: AbstractContextManager[object]  # one of the worker's threads writes at a time
    fence: int = 0
    read_at: float = 0
    observed: tuple[Quota, float] | None = None  # what HubSpot last sent to this worker, and when
    slots: deque[float] = field(default_factory=deque)
    used: deque[float] = field(default_factory=lambda: deque(maxlen=HANDFUL))


class SharedQuota:
    """Lets calls begin in the slots of each portal's bucket. No portal slows another down.

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

    def reserve(self, portal: str, *, ahead: int, urgent: bool, until: datetime) -> None:
        """Wait for a slot and use it. The caller expects to make `ahead` calls, this one included.

        Raises QuotaExhausted where the slot would be after `until`, or where HubSpot has told a worker to stop.
        """
        share = self._share(portal)
        while True:
            self._check_stop(portal, share)
            slot = self._next_slot(share)
            if slot is not None:
                break
            with share.busy:
                self._take(portal, share, ahead, _ms(until), urgent=urgent)
        if (wait := slot - self._now()) > TIMER_RESOLUTION:
            self._sleep(wait / 1000)
        with share.busy:
            self._read(portal, share)
        self._check_stop(portal, share)
        share.used.append(self._now())

    def observe(self, portal: str, quota: Quota, at: datetime) -> None:
        """Note the quota that HubSpot sent for a call that began at `at`. The next write shares it with all workers."""
        self._share(portal).observed = (quota, _ms(at))

    def block(self, portal: str, until: datetime, *, daily: bool) -> None:
        """After a 429: let no worker call before `until`, and all be slower for a while after that."""
        share = self._share(portal)
        share.slots.clear()
        while True:
            blocked = self._observed(share).blocked(_ms(until), self._now(), daily=daily)
            try:
                return self._write(portal, share, blocked)
            except ConditionFailed as failed:
                self._keep(share, failed.item)
            except LedgerUnavailable as error:
                self._unreachable(portal, error)
                share.bucket = blocked
                return None

    # ---------------------------------------------------------------------------------------------- this worker's share
    def _share(self, portal: str) -> _Share:
        return self._shares.setdefault(portal, _Share(Bucket(self._quota), self._new_lock()))

    def _check_stop(self, portal: str, share: _Share) -> None:
        if share.bucket.stop_until <= self._now():
            return
        share.slots.clear()
        self._read(portal, share)  # a stop for the day may have been lifted
        wait, daily = (share.bucket.stop_until - self._now()) / 1000, share.bucket.daily
        if wait > 0:
            raise QuotaExhausted(STOPPED_DAILY if daily else STOPPED, retry_after=wait, daily=daily, portal_wide=True)

    def _next_slot(self, share: _Share) -> float | None:
        """A slot of this worker's; those whose moment has passed are lost."""
        oldest = share.bucket.oldest_usable(self._now())
        with suppress(IndexError):  # there is none, or another thread has taken the last
            while (slot := share.slots.popleft()) < oldest:
                pass
            return slot
        return None

    def _observed(self, share: _Share) -> Bucket:
        """The bucket as last read, with what HubSpot has sent since."""
        return share.bucket.observed(*share.observed) if share.observed else share.bucket

    # ------------------------------------------------------------------------------------------------------- the table
    def _take(self, portal: str, share: _Share, ahead: int, until: float, *, urgent: bool) -> None:
        """Take a handful of slots, unless the first would be after `until`."""
        if share.slots:
            return  # another thread has just taken some
        now = self._now()
        lately = sum(now - used < LATELY for used in share.used) if urgent else 0
        bucket, slots = self._observed(share).reserved(max(ahead, 2 * lately), now, self._head_room, urgent=urgent)
        if slots[0] > until:
            raise QuotaExhausted(USED_UP, retry_after=(slots[0] - now) / 1000, portal_wide=True)
        try:
            self._write(portal, share, bucket)
        except ConditionFailed as failed:
            self._keep(share, failed.item)  # others were faster: once more
            return
        except LedgerUnavailable as error:
            self._unreachable(portal, error)
            share.bucket, slots = share.bucket.reserved(1, now, 1 - ALONE, urgent=False)
        share.slots.extend(slots)

    def _read(self, portal: str, share: _Share) -> None:
        """Read the bucket, unless that was done lately."""
        if self._now() - share.read_at <= KNOWN:
            return
        try:
            self._keep(share, self._table.get(PREFIX + portal) or {})
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
        share.bucket, share.fence, share.read_at = bucket, fence, self._now()

    def _keep(self, share: _Share, item: Item) -> None:
        share.fence = item.get("fence", 0)
        share.bucket = _bucket(item["bucket"]) if share.fence else Bucket(self._quota)
        share.read_at = self._now()

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
