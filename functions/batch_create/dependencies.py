"""Everything that is not deterministic, as `run` is given it. A test or a simulation passes its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta, tzinfo

    from batch_create.ports import (
        GatePort,
        HubSpotPort,
        LeasePort,
        LedgerPort,
        ObjectTypePort,
        Point,
        QuotaPort,
        TokenPort,
    )
    from runtime.concurrency import SideBySide


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What `run` works with. `clock` gives the time in UTC, `jitter` a number from 0 to 1, `zone` a portal's time zone,
    if it is known. `new_id` gives text that no other worker has. `sleep` takes seconds, `reached` each point that a
    worker passes. `side_by_side` does jobs at the same time. What was accepted longer ago than `give_up_after` does not
    wait any more."""

    ledger: LedgerPort
    leases: LeasePort
    gates: GatePort
    object_types: ObjectTypePort
    hubspot: HubSpotPort
    tokens: TokenPort
    quota: QuotaPort
    clock: Callable[[], datetime]
    jitter: Callable[[], float]
    new_id: Callable[[], str]
    zone: Callable[[str], tzinfo | None]
    sleep: Callable[[float], None]
    reached: Callable[[Point], None]
    side_by_side: SideBySide
    default_api_version: str
    batch_size: int
    give_up_after: timedelta
