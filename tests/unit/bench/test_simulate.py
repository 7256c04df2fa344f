"""The simulated fleet: nothing is lost in it, one seed plays one story, and its comparisons point the right way."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from batch_create.authorised_call import LONGEST_SLOT_WAIT
from bench.simulate import LIMITS, PAIRS, Neighbour, Rollout, beside, rollout
from bench.simulation.cloud import Queue, Table
from bench.simulation.portals import HEALTHY, Asking, Fault, Faults, Portal
from bench.simulation.run import Deployment, Played

PORTALS = 60
TROUBLED = Faults(token=0.1, down=0.05, daily=0.1, calls_5xx=0.05)
CDK_JSON = Deployment()


def played(deployment: Deployment = CDK_JSON, seed: int = 1, faults: Faults = TROUBLED) -> Played:
    (stack,) = rollout(Rollout("a rollout", deployment), PORTALS, seed, faults)
    return stack


def last_done(stack: Played) -> float:
    return max(message.done or 0.0 for message in stack.done)


def waits_of_others(neighbour: Neighbour, deployment: Deployment) -> list[float]:
    stack, bad = beside(neighbour, deployment, PORTALS, seed=1)
    return [(message.done or 0.0) - message.sent for message in stack.done if message.portal is not bad]


def portal(name: str) -> Portal:
    return Portal(name, pace=10)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_message_is_done_or_waits_for_its_portal(seed: int) -> None:
    stack = played(seed=seed)

    assert len(stack.messages) == PORTALS * PAIRS
    assert len({message.id for message in stack.messages}) == len(stack.messages)
    assert len(stack.done) + len(stack.waiting) == len(stack.messages)
    assert all(message.portal.fault is Fault.NONE for message in stack.done)
    assert all(message.portal.fault is not Fault.NONE for message in stack.waiting)
    assert all(message.done is not None and message.done > message.sent for message in stack.done)


def test_a_fleet_without_faults_makes_one_call_for_each_pair() -> None:
    stack = played(faults=HEALTHY)

    assert stack.waiting == []
    assert stack.spent.calls == PORTALS * PAIRS


def test_messages_of_one_pair_share_a_call() -> None:
    flood = Neighbour("floods", 10 * PAIRS)

    (alone, _), (folded, bad) = (
        beside(flood, replace(CDK_JSON, messages_per_invocation=most, batch_window=1), 1, seed=1)
        for most in (10, 10 * PAIRS)
    )

    assert alone.spent.calls > 5 * folded.spent.calls
    assert bad.calls < 3 * PAIRS


def test_one_seed_plays_one_story() -> None:
    first, again, other = played(seed=7), played(seed=7), played(seed=8)

    story = [(message.id, message.done, message.runs) for message in first.messages]
    assert story == [(message.id, message.done, message.runs) for message in again.messages]
    assert first.spent == again.spent
    assert story != [(message.id, message.done, message.runs) for message in other.messages]


def test_more_functions_are_not_slower() -> None:
    ends = [last_done(played(replace(CDK_JSON, maximum_concurrency=most), faults=HEALTHY)) for most in (2, 5, 20, 80)]

    assert ends == sorted(ends, reverse=True)


def test_an_accounts_concurrency_bounds_that_of_a_mapping() -> None:
    stack = played(replace(CDK_JSON, maximum_concurrency=50, account_concurrency=7), faults=HEALTHY)

    assert stack.most_at_once == 7
    assert stack.waiting == []


def test_a_larger_table_is_not_slower_and_a_small_one_is_the_bottleneck() -> None:
    wide = replace(CDK_JSON, maximum_concurrency=50)

    small, large = (played(replace(wide, write_units=units), faults=HEALTHY) for units in (100, 4_000))

    assert last_done(small) > 2 * last_done(large)
    assert small.table.full > 0.8 * last_done(small)
    assert large.table.full == 0


def test_each_call_has_a_moment_of_its_own_in_its_portals_pace() -> None:
    stack = played(replace(CDK_JSON, maximum_concurrency=50))

    # Its moments are a pace apart, and each call has one of its own.
    for each in {message.portal.name: message.portal for message in stack.messages}.values():
        assert 0 < each.calls <= len(each.taken)


@pytest.mark.parametrize("most", [5, 50])
def test_a_dead_token_delays_nobody_else_by_more_than_seconds_where_queues_are_fair(most: int) -> None:
    dead = Neighbour("refuses our token", 1_000, Fault.TOKEN)

    waits = waits_of_others(dead, replace(CDK_JSON, maximum_concurrency=most, fair=True))

    assert len(waits) == PORTALS
    assert max(waits) < 5


@pytest.mark.parametrize("most", [5, 50])
def test_a_flood_delays_nobody_else_by_more_than_its_turn_where_queues_are_fair(most: int) -> None:
    flood = Neighbour("floods", 1_000)

    waits = waits_of_others(flood, replace(CDK_JSON, maximum_concurrency=most, fair=True))

    assert max(waits) < LONGEST_SLOT_WAIT.total_seconds() + 5


def test_without_fair_queues_others_wait_until_a_flood_is_over() -> None:
    flood = Neighbour("floods", 2_000)

    fair, first_come = (max(waits_of_others(flood, replace(CDK_JSON, fair=fair))) for fair in (True, False))

    assert first_come > 5 * fair


def test_a_fair_queue_gives_quiet_portals_first_and_the_noisy_one_all_the_rest() -> None:
    queue, asking = Queue(fair=True), Asking(PAIRS, LIMITS)
    noisy, quiet = portal("noisy"), portal("quiet")
    for number in range(100):
        queue.put(asking.message(noisy, number, 0))
    queue.receive(40, now=0)
    queue.put(asking.message(quiet, 0, 1))

    taken = queue.receive(100, now=1)

    assert taken[0].portal is quiet
    assert Counter(message.portal.name for message in taken) == {"noisy": 60, "quiet": 1}
    assert queue.visible == 0


def test_a_queue_that_is_not_fair_gives_the_oldest_first() -> None:
    queue, asking = Queue(fair=False), Asking(PAIRS, LIMITS)
    noisy, quiet = portal("noisy"), portal("quiet")
    for number in range(100):
        queue.put(asking.message(noisy, number, 0))
    queue.receive(40, now=0)
    queue.put(asking.message(quiet, 0, 1))

    assert queue.receive(100, now=1)[-1].portal is quiet


def test_a_table_takes_no_more_in_a_second_than_its_capacity_whatever_the_order() -> None:
    table = Table(capacity=10)

    moments = [table.write(2, now) for now in (5.0, 0.0) for _ in range(12)]

    assert max(table.seconds.values()) <= 10
    assert table.units == sum(table.seconds.values()) == 48
    assert moments[12:17] == [0.0] * 5
    assert max(moments) < 8


def test_a_peak_doubles_what_a_table_can_take_half_an_hour_later() -> None:
    table = Table()
    for _ in range(4_000):
        table.write(1, 0.0)

    table.write(1, 1_801.0)

    assert table.capacity == 8_000
