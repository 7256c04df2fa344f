"""What a request writes, and what that and the rest cost: the arithmetic of docs/cost.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import prices
from bench.cost import (
    Way,
    batch_seconds,
    destination,
    gigabyte_seconds,
    ours,
    plain,
    queued,
    table,
    ways,
    work,
    workflow,
    writing_calls,
)
from bench.prices import Price
from bench.units import Measured, measure
from bench.write_units import Write, size, write
from model.outcomes import Trigger

FOUR_INPUTS = Measured(
    inputs=4,
    claim=Write(480, 1, 1),
    settle=Write(911, 1, 0),
    take=Write(550, 1, 0),
    give_back=Write(509, 1, 0),
    stored=1_339,
)
BY_STATUS = ("id", "statusKey", "sortKey")


def test_a_request_that_goes_well_is_two_writes_of_few_units() -> None:
    measured = measure(4)

    assert measured.claim.indexes == 1, "an entry by pair"
    assert measured.settle.indexes == 0, "by pair nothing has changed"
    assert (measured.claim.table, measured.settle.table, measured.units) == (1, 1, 3)


@pytest.mark.parametrize("trigger", [Trigger.WEBHOOK, Trigger.SCHEDULE])
def test_what_no_message_brings_back_has_an_entry_by_status_while_it_runs(trigger: Trigger) -> None:
    measured = measure(4, trigger)

    assert measured.claim.indexes == 2
    assert measured.settle.indexes == 1, "an entry deleted"
    assert measured.units + measured.pair_units == 7


def test_an_ordinary_outcome_leaves_room_for_long_names_in_its_one_unit() -> None:
    assert measure(4).settle.size < 1_024 - 100


def test_its_pair_is_taken_and_given_back_by_one_unit_each() -> None:
    measured = measure(4)

    assert (measured.take.units, measured.give_back.units) == (1, 1)
    assert measured.pair_units == 2


def test_a_write_costs_by_the_larger_of_the_item_before_and_after() -> None:
    small, large = {"id": "1"}, {"id": "1", "text": "x" * 3_000}

    assert write(small, large, []).table == write(large, small, []).table == 3
    assert write({}, small, []).table == 1


def test_an_index_is_written_only_where_what_it_keeps_changes() -> None:
    running = {"id": "1", "statusKey": "a#RUNNING", "sortKey": "t"}
    complete = {**running, "statusKey": "a#COMPLETE"}

    assert write({}, running, [BY_STATUS]).indexes == 1
    assert write(running, complete, [BY_STATUS]).indexes == 2
    assert write(running, {**running, "attempts": "[]"}, [BY_STATUS]).indexes == 0
    assert write({}, {"id": "1"}, [BY_STATUS]).indexes == 0, "an item without the keys is not in the index"


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"id": "ab"}, 4),
        ({"ü": ""}, 2),
        ({"n": 12345}, 1 + 1 + 3),
        ({"n": 0}, 1 + 1),
        ({"b": b"abc"}, 4),
        ({"l": ["a", "b"]}, 1 + 3 + 2 * 2),
        ({"m": {"k": "v"}}, 1 + 3 + 2 + 1),
        ({"t": True}, 2),
    ],
)
def test_sizes_are_counted_as_dynamodb_counts_them(item: dict[str, object], expected: int) -> None:
    assert size(item) == expected


def test_a_functions_processor_is_as_large_as_its_memory_up_to_a_whole_core() -> None:
    assert work(1, 1_769) == work(1, 3_538) == 1
    assert work(1, 884) == pytest.approx(2, rel=0.01)
    assert gigabyte_seconds(2, 512) == 1


def test_an_invocation_waits_for_four_at_once_and_works_on_one_after_the_other() -> None:
    one, four, five = (batch_seconds(10, calls, 512) for calls in (1, 4, 5))

    # Up to four pairs are taken one by one, by a thread each: a write to take it, one for its claims and one to settle.
    assert four - one == pytest.approx(work(9 * 0.0022, 512))
    # Of five, two are taken together; and two more writes are waited for, to take the fifth and to give it back.
    assert five - four == pytest.approx(0.15 + 2 * 0.005 + work((11 - 12) * 0.0022, 512))
    assert batch_seconds(12, 4, 512) - four == pytest.approx(work(2 * 0.0018, 512))
    assert batch_seconds(13, 4, 512) - four == pytest.approx(work(3 * 0.0018, 512) + 2 * 0.005)


def test_writes_of_many_messages_share_calls_of_dynamodb() -> None:
    # 25 claims in one; 24 settlements of a pair in one, beside which it is given back.
    assert writing_calls(24, 1) == 3
    assert writing_calls(25, 1) == 4
    assert writing_calls(26, 1) == 5
    assert batch_seconds(26, 1, 512) - batch_seconds(25, 1, 512) == pytest.approx(work(0.0018 + 0.0022, 512))


def test_a_message_alone_is_claimed_with_its_pair_in_one_call_and_settled_in_another() -> None:
    assert writing_calls(1, 1) == 2


def test_dollars_are_counts_times_prices() -> None:
    way = Way("a way", {prices.EVENT: 1.0, prices.TRANSITION: 3.0}, 1.0, "nothing")

    assert way.dollars(prices.TRANSITION) == pytest.approx(75)
    assert way.dollars(prices.WRITE_UNIT) == 0
    assert way.total == pytest.approx(76)


def test_messages_that_share_calls_and_invocations_cost_less() -> None:
    entry = {prices.SQS_REQUEST: queued(10)}
    totals = [ours("", FOUR_INPUTS, *shape, entry).total for shape in ((1, 1), (10, 10), (10, 5), (100, 20))]

    assert totals == sorted(totals, reverse=True)
    assert ours("", FOUR_INPUTS, 100, 20, entry).calls == 0.2


def test_the_ledger_is_what_the_truth_costs() -> None:
    here = ours("", FOUR_INPUTS, 10, 10, {prices.SQS_REQUEST: queued(10)})

    # Three units, two for the pair, and a tenth of one for the portal's bucket.
    assert here.dollars(prices.WRITE_UNIT) == pytest.approx(5.1 * 0.625)
    assert here.total - here.dollars(prices.WRITE_UNIT) < plain(10).total
    assert destination().total < plain(10).total < here.total < workflow(express=False).total


def test_the_tables_name_every_way_and_every_price() -> None:
    shown, listed = table(FOUR_INPUTS, FOUR_INPUTS), prices.listed()

    for way in ways(FOUR_INPUTS, FOUR_INPUTS):
        assert f"| {way.name} |" in shown
        assert f"**${way.total:.2f}**" in shown
    every = [value for value in vars(prices).values() if isinstance(value, Price)]
    assert len(listed.splitlines()) == 2 + len(every)
    assert all(0 < price.dollars < 5 and price.page and price.read for price in every)


def test_the_document_shows_what_is_printed() -> None:
    document = (Path(__file__).parents[3] / "docs/cost.md").read_text(encoding="utf-8")

    shown = table(measure(4), measure(4, Trigger.WEBHOOK))
    assert shown in document, "python -m bench.cost prints the table of docs/cost.md"
    assert prices.listed() in document


def test_no_cost_is_left_out_of_the_columns() -> None:
    for line, way in zip(table(FOUR_INPUTS, FOUR_INPUTS).splitlines()[2:], ways(FOUR_INPUTS, FOUR_INPUTS), strict=True):
        parts = [float(cell.strip(" $")) for cell in line.split("|")[3:7] if cell.strip()]
        assert sum(parts) == pytest.approx(way.total, abs=0.02)
