"""A pair's register: what it keeps, what it forgets, and that nothing which can undo a number is forgotten."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import NAMESPACE_URL, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.register import LANDING, SETTERS, Applied, Register, Sent, possible_sends, register, stored
from model.contract import Category, LimitKey
from model.outcomes import Age, InputOutcome, Outcome, Result, Status, new_outcome
from model.records import milliseconds
from tests.support.fakes import START, key, request

LAG = timedelta(minutes=5)
NOW = milliseconds(START)
HOUR = 3_600_000
LANDS = LANDING // timedelta(milliseconds=1)

keys = st.tuples(st.sampled_from([each.value for each in Category]), st.integers(1, 3))
ids = st.text("Aa9._:-", min_size=1, max_size=6)
ages = st.tuples(st.integers(NOW - HOUR, NOW + HOUR), ids)
times = st.integers(NOW - HOUR, NOW)
numbers = st.integers(1, 4)


@st.composite
def applications(draw: st.DrawFn) -> Applied:
    age, at = draw(ages), draw(times)
    sent_at = at - draw(st.integers(0, 20_000))
    applied = Applied(age, draw(st.just(age[1]) | ids), draw(numbers), sent_at, at)
    if not draw(st.booleans()):
        return applied
    return replace(applied, unconfirmed=True, before=draw(st.none() | st.just(replace(applied, number=5))))


@st.composite
def sends(draw: st.DrawFn) -> Sent:
    age = draw(ages)
    return Sent(draw(keys), age, draw(st.just(age[1]) | ids), draw(numbers), draw(times))


registers = st.builds(
    Register, st.just(LAG), st.dictionaries(keys, applications(), max_size=6), st.lists(sends(), max_size=8)
)


def applied(number: int, at: int, *, made: int = 1, unconfirmed: bool = False) -> Applied:
    """What the request that was made at a time has set."""
    return Applied((made, f"m-{made}"), f"m-{made}", number, at, at, unconfirmed)


def sent(number: int, at: int, *, made: int = 0) -> Sent:
    """A send for type 3 of the request that was made at a time."""
    return Sent(key(3), (made, f"m-{made}"), f"m-{made}", number, at)


def holding(*there: Sent, last: Applied | None = None) -> Register:
    return Register(LAG, {key(3): last} if last else {}, list(there))


# ------------------------------------------------------------------------------- as text
@given(registers)
def test_a_register_survives_as_text(whole: Register) -> None:
    assert register(whole.as_text(), LAG) == whole
    assert register(stored(whole.as_text()), LAG) == whole


def test_no_text_is_an_empty_register() -> None:
    assert register("", LAG) == Register(LAG)


def test_a_hundred_limits_of_25_requests_are_packed_into_two_write_units() -> None:
    ages = [(NOW + n, str(uuid5(NAMESPACE_URL, str(n)))) for n in range(25)]
    full = Register(LAG, {key(n): Applied(ages[n // 4], ages[n // 4][1], 5, NOW, NOW) for n in range(100)})

    kept = stored(full.as_text())
    assert isinstance(kept, bytes)
    assert len(kept) < 1_800  # and the item has more than its register
    assert register(kept, LAG) == full


def test_a_few_limits_are_kept_for_people_to_read() -> None:
    age = (NOW, "5fd1b2a0-2f0e-4b7e-9a8e-0d6f6f0b8a11")
    few = Register(LAG, {key(n): Applied(age, age[1], 5, NOW, NOW) for n in range(4)}).as_text()

    assert stored(few) == few


@given(registers, st.integers(20, 900))
def test_a_register_that_must_be_cut_keeps_the_youngest_numbers_and_the_latest_sends(
    whole: Register, most: int
) -> None:
    text = whole.as_text(most)

    assert len(text) <= most
    cut = register(text, LAG)
    gone = [each.age for name, each in whole.last.items() if name not in cut.last]
    assert all(age <= each.age for age in gone for each in cut.last.values())
    lost = [each.at for each in whole.sends if each not in cut.sends]
    assert all(at <= each.at for at in lost for each in cut.sends)


# ------------------------------------------------------------------------------- the youngest stands
@given(
    st.lists(st.tuples(keys, applications()), max_size=8, unique_by=lambda each: each[1].age).flatmap(st.permutations)
)
def test_given_entries_in_any_order_the_youngest_of_each_limit_stands(entries: list[tuple[LimitKey, Applied]]) -> None:
    whole = Register(LAG)

    entries = [(name, replace(entry, before=None)) for name, entry in entries]
    for name, entry in entries:
        whole.apply(name, entry)

    for name in {name for name, _ in entries}:
        of_one = sorted((each for other, each in entries if other == name), key=lambda each: each.age)
        certain = [each for each in of_one if not each.unconfirmed]
        youngest = of_one[-1]
        before = certain[-1] if youngest.unconfirmed and certain else None
        assert whole.last[name] == replace(youngest, before=before)


def test_given_a_younger_send_in_doubt_an_older_one_of_the_last_number_is_kept_as_it_may_have_landed_later() -> None:
    whole = holding(sent(5, NOW, made=1), sent(7, NOW + 9, made=2), last=applied(5, NOW, made=1))

    whole.prune(NOW + HOUR)
    assert {each.number for each in whole.sends} == {5, 7}

    whole.withdraw(key(3), "m-2", 7)
    whole.prune(NOW + HOUR)
    assert whole.sends == []


def test_given_a_number_that_was_never_certain_and_is_refused_the_one_before_it_stands() -> None:
    whole = holding(last=applied(5, NOW))
    whole.apply(key(3), applied(6, NOW, made=2, unconfirmed=True))
    whole.apply(key(3), applied(7, NOW, made=3, unconfirmed=True))

    whole.refuse(key(3), (2, "m-2"), 6)
    assert whole.last[key(3)].number == 7  # it was about another
    whole.refuse(key(3), (3, "m-3"), 7)

    assert whole.last[key(3)] == applied(5, NOW)
    whole.refuse(key(3), (1, "m-1"), 5)
    assert whole.last[key(3)] == applied(5, NOW)  # which was certain


def test_given_a_request_that_is_applied_again_when_it_is_entered_its_time_is_the_later_one() -> None:
    whole = holding(last=applied(5, NOW, unconfirmed=True))

    whole.apply(key(3), applied(5, NOW + 9))

    assert whole.last[key(3)] == applied(5, NOW + 9)


@given(registers, keys, ages)
def test_in_doubt_is_the_youngest_send_of_a_younger_request(whole: Register, name: LimitKey, age: Age) -> None:
    others = [each for each in whole.sends if each.key == name and each.age > age]

    found = whole.in_doubt(name, age)

    assert (found is None) == (not others)
    assert found is None or (found in others and found.age == max(each.age for each in others))


# ------------------------------------------------------------------------------- sends
def test_given_a_number_that_is_sent_again_its_later_send_stands_for_both() -> None:
    whole = holding(sent(5, NOW), sent(7, NOW, made=2))

    whole.send(sent(5, NOW + 9))

    assert whole.sends == [sent(7, NOW, made=2), sent(5, NOW + 9)]


def test_given_a_send_without_effect_when_it_is_withdrawn_no_other_is() -> None:
    others = [sent(7, NOW), sent(5, NOW, made=2), replace(sent(5, NOW), key=key(4))]
    whole = holding(sent(5, NOW), *others)

    whole.withdraw(key(3), "m-0", 5)

    assert sorted(whole.sends, key=repr) == sorted(others, key=repr)


@given(registers, times, st.sets(keys))
def test_a_reading_tells_of_sends_whose_window_is_over_and_of_no_others(
    whole: Register, now: int, read: set[LimitKey]
) -> None:
    over = [each for each in whole.sends if each.at + whole.window <= now]
    assert whole.window == LANDS + LAG // timedelta(milliseconds=1)
    assert whole.due(now) == over

    before = list(whole.sends)
    whole.forget(read, now)

    assert set(whole.sends) == {each for each in before if each.key not in read or each not in over}


# ------------------------------------------------------------------------------- what can undo
@pytest.mark.parametrize(
    ("last", "undoes"),
    [
        (None, False),  # then it is no undoing
        (applied(7, NOW), True),
        (applied(5, NOW), False),  # the same number
        (applied(7, NOW, made=-1), False),  # an older request's, over which it may land
        (applied(7, NOW + LANDS - 1), True),
        (applied(7, NOW + LANDS), False),  # applied after the send had landed
        (applied(7, NOW + HOUR, unconfirmed=True), True),  # if it was applied at all
    ],
)
def test_a_pair_is_to_be_verified_while_a_send_may_land_over_a_younger_number(
    last: Applied | None, undoes: bool
) -> None:
    whole = holding(sent(5, NOW), last=last)

    assert (whole.sends[0] in whole.undoing()) is undoes
    assert whole.verify_at == (NOW + whole.window if undoes else None)


def test_given_several_sends_that_can_undo_a_pair_is_verified_when_a_reading_tells_of_all() -> None:
    whole = holding(sent(5, NOW), sent(6, NOW + 9, made=-1), sent(9, NOW + 99, made=3), last=applied(7, NOW))

    assert whole.verify_at == NOW + 9 + whole.window


@given(registers, times, st.data())
def test_nothing_that_can_undo_a_number_is_pruned(whole: Register, now: int, data: st.DataObject) -> None:
    before = list(whole.sends)

    whole.prune(now)

    for each in before:
        if each in whole.sends:
            continue
        last = whole.last[each.key]
        assert last.age >= each.age  # so no older request waits for it
        landed = each.at + data.draw(st.integers(0, LANDS))
        assert landed <= now
        # The number was applied at some time between the call and its answer, or, unconfirmed, perhaps never.
        set_at = data.draw(st.integers(last.sent_at, last.at))
        stands = not last.unconfirmed and set_at >= landed
        assert (last.number if stands else each.number) == last.number


@given(registers, times)
def test_what_is_pruned_is_not_missed(whole: Register, now: int) -> None:
    due, undoing = whole.verify_at, set(whole.undoing())

    whole.prune(now)

    assert whole.verify_at == due
    assert undoing <= set(whole.sends)


def test_given_a_send_that_a_later_number_has_covered_when_it_has_landed_it_is_pruned() -> None:
    whole = holding(sent(5, NOW), last=applied(7, NOW + LANDS))

    whole.prune(NOW + LANDS - 1)
    assert whole.sends
    whole.prune(NOW + LANDS)
    assert not whole.sends


# ------------------------------------------------------------------------------- readings
@pytest.mark.parametrize(
    ("number", "after", "explains"),
    [(5, 0, True), (5, 299_999, True), (5, 300_000, False), (7, 0, False)],
)
def test_a_reading_within_the_lag_of_another_number_proves_nothing(number: int, after: int, explains: bool) -> None:
    whole = holding(last=applied(7, NOW))

    assert whole.explains(key(3), number, NOW + after) is explains
    assert not whole.explains(key(4), number, NOW + after)


# ------------------------------------------------------------------------------- outcomes
def settled(result: Result, own_id: str = "m-1") -> Outcome:
    outcome = new_outcome(request(own_id, (3, 5)), Status.COMPLETE)
    return replace(outcome, inputs=tuple(replace(item, result=result) for item in outcome.inputs))


@pytest.mark.parametrize("result", Result)
def test_an_outcome_enters_what_it_has_set(result: Result) -> None:
    whole = Register(LAG)

    whole.enter(settled(result), NOW)

    assert (key(3) in whole.last) == (result in SETTERS)
    if result in SETTERS:
        expected = Applied((NOW, "m-1"), "m-1", 5, NOW, NOW, unconfirmed=result is Result.UNCONFIRMED)
        assert whole.last[key(3)] == expected


def test_a_replay_is_entered_with_the_age_of_what_it_replays() -> None:
    whole = Register(LAG)
    whole.enter(settled(Result.APPLIED), NOW)

    whole.enter(replace(settled(Result.APPLIED, "m-2"), ordered_as=f"{NOW - 1}#m-0"), NOW)
    assert whole.last[key(3)].outcome_id == "m-1"

    whole.enter(replace(settled(Result.APPLIED, "m-2"), ordered_as=f"{NOW + 1}#m-0"), NOW)
    assert (whole.last[key(3)].age, whole.last[key(3)].outcome_id) == ((NOW + 1, "m-0"), "m-2")


def test_what_a_dead_worker_may_have_sent_is_every_input() -> None:
    items = (InputOutcome(Category.HUBSPOT_DEFINED, n, n + 1, result=r) for n, r in enumerate(Result))
    outcome = replace(new_outcome(request("m-1", (3, 5)), Status.RUNNING), inputs=tuple(items))

    assert list(possible_sends(outcome, NOW)) == [
        Sent(key(n), (NOW, "m-1"), "m-1", n + 1, NOW) for n in range(len(Result))
    ]
