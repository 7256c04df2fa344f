"""How long a request pauses between its runs: longer with each failed try, and not for having waited for its turn."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ledger.leases import Lease, Wanted
from model.errors import QuotaExhausted
from model.outcomes import Outcome, Status
from tests.support.fakes import PAIR, START, FakeQuota, Service, failed, request

REQUEST = request("m-1", (3, 5))
LOCKED = 423  # nothing was applied, so that nothing is to be read
TRIES = 20  # more than a run makes


class FullQuota(FakeQuota):
    """Has room only when it is told so."""

    full = False

    def reserve(self, portal: str, *, ahead: int, urgent: bool, until: datetime) -> None:
        if self.full:
            raise QuotaExhausted("no room", retry_after=10)


def pause(service: Service, outcome: Outcome) -> float:
    assert outcome.status is Status.DEFERRED
    assert outcome.retry_at is not None
    seconds = (outcome.retry_at - service.clock()).total_seconds()
    service.clock.time = outcome.retry_at
    return seconds


@given(st.lists(st.booleans(), max_size=12))
def test_only_failed_tries_make_the_next_pause_longer(turns: list[bool]) -> None:
    quota = FullQuota()
    service = Service()
    service.ports = replace(service.ports, quota=quota, jitter=lambda: 1.0)

    failures = 0
    for full in turns:
        quota.full = full
        service.hubspot.replies = [failed(LOCKED)] * TRIES
        (outcome,) = service.run(REQUEST)
        failures += not full
        assert pause(service, outcome) == (10 if full else max(2, min(900, 2**failures)))

    quota.full, service.hubspot.replies = False, []
    assert service.run(REQUEST)[0].status is Status.COMPLETE


def test_to_wait_for_a_pair_in_vain_makes_no_later_pause_longer() -> None:
    service = Service()
    service.ports = replace(service.ports, jitter=lambda: 1.0)
    service.run(request("m-0", (4, 1)))  # so that the pair is known
    until = START + timedelta(minutes=9)
    (lease,) = service.leases.take_many([Wanted("default", PAIR)], "another", service.clock(), until)
    assert isinstance(lease, Lease)

    for _ in range(5):
        (outcome,) = service.run(REQUEST)
        assert outcome.status is Status.QUEUED
    service.leases.give_back(lease, service.clock())
    service.hubspot.replies = [failed(LOCKED)] * TRIES
    (outcome,) = service.run(REQUEST)

    assert pause(service, outcome) == 2
