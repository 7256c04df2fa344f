"""The shared quota over a table: workers that take handfuls, and what they do when it cannot be reached."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError

from aws.dynamodb import Table
from model.errors import QuotaExhausted
from model.quota import Quota
from quota.shared_quota import PREFIX, SharedQuota
from tests.support.aws import Deployment
from tests.support.fakes import START, Clock

SOON = timedelta(seconds=10)


class Workers:
    """Workers of one deployment, one clock and one table; `began` has the moment of each call that was let begin."""

    def __init__(self, table: Table, clock: Clock, calls: int = 100) -> None:
        self.table = table
        self.clock = clock
        self.began: list[datetime] = []
        self._calls = calls

    def new(self) -> SharedQuota:
        return SharedQuota(self.table, self.clock, self.clock.advance, Quota(self._calls), 0.03)

    def call(self, worker: SharedQuota, portal: str = "default", *, ahead: int = 1, urgent: bool = False) -> None:
        worker.reserve(portal, ahead=ahead, urgent=urgent, until=self.clock() + SOON)
        self.began.append(self.clock())

    def stand_in_line(self, handfuls: int, portal: str = "default") -> None:
        """Let so many other workers take a handful each at this moment."""
        now = self.clock()
        for _ in range(handfuls):
            self.new().reserve(portal, ahead=10, urgent=False, until=now + timedelta(minutes=1))
            self.clock.time = now

    def writes(self, portal: str = "default") -> int:
        item = self.table.get(PREFIX + portal)
        return item["fence"] if item else 0


@pytest.fixture
def workers(table: Table) -> Workers:
    return Workers(table, Clock())


def test_an_idle_portals_first_call_begins_at_once(workers: Workers) -> None:
    workers.call(workers.new())

    assert workers.began == [START]


def test_ten_calls_that_are_known_of_take_one_write(workers: Workers) -> None:
    worker = workers.new()

    for number in range(10):
        workers.call(worker, ahead=10 - number)

    assert workers.writes() == 1
    assert (workers.began[-1] - START).total_seconds() == pytest.approx(9 * 10 / 97, abs=0.01)


def test_calls_for_people_that_follow_each_other_take_a_write_for_ten(table: Table) -> None:
    workers = Workers(table, Clock(), calls=100_000)  # so that none has to wait for its slot
    worker = workers.new()

    for _ in range(200):
        workers.call(worker, urgent=True)
        workers.clock.advance(0.008)

    assert workers.writes() <= 200 / 10 + 3  # the first handfuls are smaller


def test_two_workers_never_begin_a_call_in_the_same_slot(workers: Workers) -> None:
    one, other = workers.new(), workers.new()

    for _ in range(10):
        workers.call(one)
        workers.call(other)

    seconds = [(moment - START).total_seconds() for moment in workers.began]
    assert seconds == pytest.approx([number * 10 / 97 for number in range(20)], abs=0.01)


def test_what_was_not_used_in_its_time_is_lost_and_not_spent_at_once(workers: Workers) -> None:
    worker = workers.new()
    workers.call(worker, ahead=10)

    workers.clock.advance(60)
    workers.call(worker)
    workers.call(worker)

    assert workers.began[2] - workers.began[1] >= timedelta(milliseconds=103)


def test_bulk_work_that_would_wait_too_long_is_told_when_there_is_room(workers: Workers) -> None:
    workers.stand_in_line(10)

    with pytest.raises(QuotaExhausted) as told:
        workers.call(workers.new())

    assert told.value.retry_after == pytest.approx(100 * 10 / 97, abs=0.1)
    assert told.value.portal_wide


def test_a_429_of_one_worker_stops_all_within_a_second(workers: Workers) -> None:
    one, other = workers.new(), workers.new()
    workers.call(one, ahead=10)
    workers.call(other, ahead=10)  # now it has slots in hand

    one.block("default", workers.clock() + timedelta(seconds=10), daily=False)
    workers.clock.advance(1.1)

    for worker in (one, other, workers.new()):
        with pytest.raises(QuotaExhausted) as stopped:
            workers.call(worker)
        assert stopped.value.portal_wide
        assert not stopped.value.daily


def test_a_spent_day_stops_all_until_it_ends_and_says_so(workers: Workers) -> None:
    midnight = START + timedelta(hours=14)
    workers.new().block("default", midnight, daily=True)

    with pytest.raises(QuotaExhausted) as stopped:
        workers.call(workers.new())

    assert stopped.value.daily
    assert stopped.value.retry_after == pytest.approx(14 * 3600)
    workers.clock.time = midnight
    workers.call(workers.new())
    assert workers.began == [midnight]


def test_a_stop_is_over_when_its_owner_deletes_the_bucket(workers: Workers, deployment: Deployment) -> None:
    worker = workers.new()
    worker.block("default", START + timedelta(hours=14), daily=True)
    workers.clock.advance(2)

    deployment.dynamodb.delete_item(TableName=deployment.table, Key={"id": {"S": f"{PREFIX}default"}})

    workers.call(worker)
    assert workers.began == [START + timedelta(seconds=2)]


def test_one_portals_stop_and_one_portals_line_delay_no_other(workers: Workers) -> None:
    worker = workers.new()
    worker.block("noisy", START + timedelta(hours=1), daily=False)
    workers.stand_in_line(9, "busy")

    workers.call(worker, "quiet")

    assert workers.began == [START]


def test_what_hubspot_says_is_told_to_the_other_workers(workers: Workers) -> None:
    one, other = workers.new(), workers.new()
    workers.call(one)
    one.observe("default", Quota(190, 10, 100), START)
    workers.call(one)

    workers.call(other)

    item = workers.table.get(PREFIX + "default")
    assert item is not None
    bucket = json.loads(item["bucket"])
    assert bucket["quota"] == {"calls": 190, "seconds": 10, "remaining": 100}
    assert bucket["others"] == pytest.approx(89, abs=1)
    assert item["expiresAt"] > START.timestamp()


def test_the_bucket_of_a_busy_portal_fits_one_write_unit(table: Table) -> None:
    workers = Workers(table, Clock(), calls=250)
    worker = workers.new()
    for _ in range(1_000):
        workers.call(worker, ahead=10)

    item = table.get(PREFIX + "default")

    assert item is not None
    assert len(json.dumps(item, default=int)) < 1024  # DynamoDB counts whole KB


class Unreachable:
    """DynamoDB, as it is when it cannot be reached."""

    def __getattr__(self, operation: str) -> Any:
        def fail(**_: object) -> None:
            raise ConnectTimeoutError(endpoint_url="https://dynamodb")

        return fail


def test_without_the_table_a_worker_keeps_a_tenth_of_the_quota_and_says_so(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    counted: list[str] = []
    monkeypatch.setattr("quota.shared_quota.count", counted.append)
    client: Any = Unreachable()
    workers = Workers(Table(client, "outcomes"), clock)
    worker = workers.new()

    for _ in range(11):
        workers.call(worker, ahead=11)

    assert (workers.began[-1] - START).total_seconds() == pytest.approx(10, rel=0.05)
    assert set(counted) == {"QuotaUnreachable"}


def test_a_worker_that_could_not_reach_the_table_goes_by_it_again_as_soon_as_it_can(
    monkeypatch: pytest.MonkeyPatch, workers: Workers
) -> None:
    worker = workers.new()
    with monkeypatch.context() as broken:
        broken.setattr(worker, "_table", Table(Unreachable(), "outcomes"))  # type: ignore[arg-type] # it has every method
        workers.call(worker)
    workers.new().block("default", workers.clock() + SOON, daily=False)
    workers.clock.advance(2)

    with pytest.raises(QuotaExhausted):
        workers.call(worker)
