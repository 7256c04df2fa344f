"""Leases of pairs: one holder at a time, and whoever takes over from a dead one knows what may have been sent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from aws.dynamodb import Item, Table
from ledger.leases import REGISTER, Lease, Leases, Taken, Wanted
from ledger.register import Applied, Register, Sent, register
from model.errors import LedgerUnavailable
from model.outcomes import ID
from model.pair import Pair
from model.records import milliseconds
from tests.simulation.dynamo import Dynamo
from tests.support.fakes import PAIR, START, key
from tests.support.fakes import leases as leases_in

DAY = timedelta(days=1)
UNTIL = START + timedelta(seconds=50)
OVER = UNTIL + timedelta(milliseconds=1)
LATER = OVER + timedelta(seconds=51)
NOW = milliseconds(START)


def wanted(*outcome_ids: str, portal: str = "default", pair: Pair = PAIR) -> Wanted:
    return Wanted(portal, pair, outcome_ids)


class Ledger:
    """A table, of which each operation can fail, and the leases in it."""

    def __init__(self, make: type[Dynamo] = Dynamo) -> None:
        self.step: Callable[[str], str] = lambda operation: ""
        dynamo: Any = make(self._step, START.timestamp, 0)
        self.table = Table(dynamo, "outcomes")
        self.leases = leases_in(self.table)

    def _step(self, operation: str) -> str:
        return self.step(operation)

    @property
    def item(self) -> Item:
        found = self.table.get(wanted().item_id)
        assert found is not None
        return found


@pytest.fixture
def ledger() -> Ledger:
    """One whose pair has been held before."""
    made = Ledger()
    assert made.leases.give_back(take(made.leases, "first"), START)
    return made


def taken(leases: Leases, holder: str, what: Wanted | None = None, now: Any = START) -> Taken:
    (lease,) = leases.take_many([what or wanted()], holder, now, now + (UNTIL - START))
    return lease


def take(leases: Leases, holder: str, what: Wanted | None = None, now: Any = START) -> Lease:
    lease = taken(leases, holder, what, now)
    assert isinstance(lease, Lease)
    return lease


def once(operation: str, how: str) -> Callable[[str], str]:
    """A step by which an operation goes wrong the first time."""
    seen: list[str] = []

    def step(reached: str) -> str:
        seen.append(reached)
        return how if reached == operation and seen.count(operation) == 1 else ""

    return step


# ------------------------------------------------------------------------------- taking and giving back
def test_given_a_pair_that_was_never_held_when_two_ask_the_first_has_it() -> None:
    leases = Ledger().leases

    lease = take(leases, "one", wanted("m-1"))

    assert (lease.holder, lease.register, lease.orphans, lease.waiting) == (
        "one",
        Register(timedelta(minutes=5)),
        (),
        (),
    )
    assert taken(leases, "two") is None


def test_given_a_free_pair_when_two_ask_the_first_has_it(ledger: Ledger) -> None:
    assert taken(ledger.leases, "one")
    assert taken(ledger.leases, "two") is None


def test_each_pair_of_each_portal_is_leased_for_itself(ledger: Ledger) -> None:
    each = [wanted(), wanted(portal="acme"), wanted(pair=Pair("0-1", "0-3")), wanted(pair=Pair("0-3", "2-456"))]

    assert all(ledger.leases.take_many(each, "one", START, UNTIL))
    assert not any(ledger.leases.take_many(each, "two", START, UNTIL))


def test_of_many_pairs_only_those_are_denied_that_others_hold(ledger: Ledger) -> None:
    other = wanted(pair=Pair("0-1", "0-2"))
    take(ledger.leases, "one")

    (first, second) = ledger.leases.take_many([wanted(), other], "two", START, UNTIL)

    assert first is None
    assert second is not None


def test_given_a_pair_that_is_given_back_when_another_takes_it_the_register_is_there(ledger: Ledger) -> None:
    lease = take(ledger.leases, "one", wanted("m-1"))
    lease.register.apply(key(3), Applied((NOW, "m-1"), "m-1", 5, NOW, NOW))
    assert ledger.leases.give_back(lease, START)

    following = take(ledger.leases, "two", wanted("m-2"))

    assert following.register == lease.register
    assert (following.orphans, following.waiting) == ((), ())


def test_a_lease_in_the_table_names_what_it_was_taken_for_until_it_is_given_back(ledger: Ledger) -> None:
    lease = take(ledger.leases, "one", wanted("m-1", "m-2"))
    assert (ledger.item["holder"], ledger.item["until"], ledger.item["intent"]) == (
        "one",
        milliseconds(UNTIL),
        "m-1 m-2",
    )

    ledger.leases.give_back(lease, START)
    assert (ledger.item["until"], ledger.item["intent"]) == (0, "")


def test_a_lease_cannot_be_taken_for_an_outcome() -> None:
    assert not ID.fullmatch(wanted().item_id)


# ------------------------------------------------------------------------------- answers that are lost
@pytest.mark.parametrize("how", ["retried", "lost"])
@pytest.mark.parametrize("before", [False, True])
def test_given_a_write_whose_answer_is_lost_when_it_is_made_again_the_holder_has_its_lease(
    how: str, before: bool
) -> None:
    ledger = Ledger()
    if before:
        ledger.leases.give_back(take(ledger.leases, "first"), START)
    ledger.step = once("batch_execute_statement answered", how)

    lease = take(ledger.leases, "one", wanted("m-1"))

    assert (lease.holder, lease.orphans) == ("one", ())
    assert taken(ledger.leases, "two") is None


def test_given_a_first_lease_that_is_written_twice_its_holder_has_it() -> None:
    ledger = Ledger()
    ledger.step = lambda operation: "retried" if operation == "update_item answered" else ""

    assert take(ledger.leases, "one", wanted("m-1")).orphans == ()


def test_given_a_holder_that_asks_again_it_still_has_the_pair(ledger: Ledger) -> None:
    take(ledger.leases, "one", wanted("m-1"))

    again = take(ledger.leases, "one", wanted("m-1"))

    assert again.orphans == ()


def test_given_a_lease_that_is_taken_over_in_a_write_made_twice_what_was_left_is_known(ledger: Ledger) -> None:
    take(ledger.leases, "dead", wanted("m-1"))
    ledger.step = once("update_item answered", "retried")

    lease = take(ledger.leases, "next", wanted("m-2"), OVER)

    assert lease.orphans == ("m-1",)


def test_given_a_pair_that_was_never_held_when_it_is_taken_it_is_not_read_before(ledger: Ledger) -> None:
    reached: list[str] = []

    def step(operation: str) -> str:
        reached.append(operation)
        return ""

    ledger.step = step
    take(ledger.leases, "one", wanted(pair=Pair("0-1", "0-2")))

    assert {operation.split()[0] for operation in reached} == {"batch_execute_statement", "update_item"}


class Silent(Dynamo):
    """Whether a batch answers with what it returns, its guide does not say."""

    def batch_execute_statement(self, **asked: Any) -> Item:
        answer = super().batch_execute_statement(**asked)
        return {"Responses": [{"Error": each["Error"]} if "Error" in each else {} for each in answer["Responses"]]}


def test_given_an_answer_without_the_item_when_a_pair_was_taken_its_register_is_read() -> None:
    leases = Ledger(Silent).leases
    lease = take(leases, "one")
    lease.register.apply(key(3), Applied((NOW, "m-1"), "m-1", 5, NOW, NOW))
    leases.give_back(lease, START)

    following = take(leases, "two", wanted("m-2"))

    assert (following.register, following.orphans) == (lease.register, ())


def test_given_a_refusal_without_the_item_when_a_pair_is_held_it_stays_with_its_holder() -> None:
    leases = Ledger(Silent).leases
    take(leases, "one")

    assert taken(leases, "two") is None


def test_given_a_register_that_is_given_back_in_a_write_made_twice_it_is_given_back(ledger: Ledger) -> None:
    lease = take(ledger.leases, "one")
    ledger.step = once("update_item answered", "retried")

    assert ledger.leases.give_back(lease, START)
    assert taken(ledger.leases, "two")


# ------------------------------------------------------------------------------- dead holders
def test_given_a_dead_holder_when_its_time_is_over_the_next_knows_what_it_was_taken_for(ledger: Ledger) -> None:
    take(ledger.leases, "dead", wanted("m-1", "m-2"))
    assert taken(ledger.leases, "next", wanted("m-3"), UNTIL) is None

    lease = take(ledger.leases, "next", wanted("m-3"), OVER)

    assert (lease.orphans, lease.died_by) == (("m-1", "m-2"), milliseconds(UNTIL))
    assert ledger.item["intent"] == "m-1 m-2 m-3"


def test_given_a_dead_holder_when_its_own_outcome_comes_again_it_is_no_orphan(ledger: Ledger) -> None:
    take(ledger.leases, "dead", wanted("m-1", "m-2"))

    lease = take(ledger.leases, "next", wanted("m-1"), OVER)

    assert lease.orphans == ("m-2",)
    assert lease.died_by == milliseconds(UNTIL)


def test_given_two_dead_holders_in_turn_the_third_knows_what_both_were_taken_for(ledger: Ledger) -> None:
    take(ledger.leases, "dead", wanted("m-1"))
    take(ledger.leases, "dead too", wanted("m-2"), OVER)

    lease = take(ledger.leases, "next", wanted("m-3"), LATER)

    assert lease.orphans == ("m-1", "m-2")


def test_given_a_lease_whose_register_was_recorded_nothing_is_left_for_the_next(ledger: Ledger) -> None:
    take(ledger.leases, "dead", wanted("m-1"))
    ledger.leases.give_back(take(ledger.leases, "next", wanted("m-2"), OVER), OVER)

    assert take(ledger.leases, "third", wanted("m-3"), OVER).orphans == ()


def test_a_holder_that_comes_late_gives_nothing_back_and_records_nothing(ledger: Ledger) -> None:
    late = take(ledger.leases, "late", wanted("m-1"))
    late.register.apply(key(3), Applied((NOW, "m-1"), "m-1", 5, NOW, NOW))
    take(ledger.leases, "next", wanted("m-2"), OVER)
    before = ledger.item

    assert not ledger.leases.give_back(late, OVER)
    (written,) = ledger.table.write_many([ledger.leases.giving_back(late, OVER)])
    assert not written.done
    (named,) = ledger.table.write_many([ledger.leases.naming(late, ["m-9"])])
    assert not named.done

    assert ledger.item == before


def test_a_holder_that_comes_late_and_was_not_replaced_gives_back_what_it_knows(ledger: Ledger) -> None:
    late = take(ledger.leases, "late", wanted("m-1"))

    assert ledger.leases.give_back(late, OVER)
    assert take(ledger.leases, "next", wanted("m-2"), OVER).orphans == ()


def test_what_else_is_sent_under_a_lease_is_named_before(ledger: Ledger) -> None:
    take(ledger.leases, "dead", wanted("m-1"))
    lease = take(ledger.leases, "next", wanted("m-2"), OVER)

    (named,) = ledger.table.write_many([ledger.leases.naming(lease, ["m-3", "m-1"])])

    assert named.done
    assert ledger.item["intent"] == "m-1 m-2 m-3"


# ------------------------------------------------------------------------------- those that wait
def test_given_some_that_wait_when_the_pair_is_taken_the_holder_knows_them_once(ledger: Ledger) -> None:
    lease = take(ledger.leases, "one", wanted("m-1"))
    ledger.leases.wait_for(wanted(), "m-2", 1)
    ledger.leases.wait_for(wanted(), "m-3", 4)
    ledger.leases.give_back(lease, START)

    following = take(ledger.leases, "two")
    assert following.waiting == (("m-2", 1), ("m-3", 4))

    ledger.leases.give_back(following, START)
    assert take(ledger.leases, "three").waiting == ()


def test_given_some_that_wait_when_the_holder_dies_whoever_takes_over_knows_them(ledger: Ledger) -> None:
    take(ledger.leases, "dead", wanted("m-1"))
    ledger.leases.wait_for(wanted(), "m-2", 1)

    assert take(ledger.leases, "next", wanted("m-3"), OVER).waiting == (("m-2", 1),)


# ------------------------------------------------------------------------------- what is to be verified
def in_doubt(ledger: Ledger) -> Lease:
    """A lease under which an older request's call can land over a younger one's number."""
    lease = take(ledger.leases, "one")
    lease.register.apply(key(3), Applied((NOW, "m-2"), "m-2", 7, NOW, NOW))
    lease.register.send(Sent(key(3), (NOW - 1, "m-1"), "m-1", 5, NOW))
    return lease


def test_given_a_send_that_can_undo_a_number_its_pair_is_due_when_a_reading_can_tell(ledger: Ledger) -> None:
    lease = in_doubt(ledger)
    when = START + timedelta(milliseconds=lease.register.window)
    ledger.leases.give_back(lease, START)

    assert ledger.leases.due("default", when - timedelta(milliseconds=1)) == []
    assert ledger.leases.due("default", when) == [PAIR]
    assert ledger.leases.due("acme", when) == []


def test_given_a_pair_that_was_verified_it_is_due_no_more(ledger: Ledger) -> None:
    ledger.leases.give_back(in_doubt(ledger), START)
    lease = take(ledger.leases, "two", now=START + DAY)
    assert ledger.leases.due("default", START + DAY) == [PAIR]  # until it is given back

    lease.register.forget([key(3)], milliseconds(START + DAY))
    ledger.leases.give_back(lease, START + DAY)

    assert ledger.leases.due("default", START + 2 * DAY) == []
    assert "statusKey" not in ledger.item


# ------------------------------------------------------------------------------- how long it is kept
def test_with_each_holder_a_register_is_kept_as_long_as_the_outcomes_of_its_pair(ledger: Ledger) -> None:
    def expires() -> Any:
        return ledger.item["expiresAt"] - int(START.timestamp())

    assert expires() == 400 * 86_400
    lease = take(ledger.leases, "one", now=START + DAY)
    assert expires() == 401 * 86_400
    ledger.leases.give_back(lease, START + 2 * DAY)
    assert expires() == 402 * 86_400
    take(ledger.leases, "dead", now=START + 3 * DAY)
    take(ledger.leases, "next", now=START + 4 * DAY)
    assert expires() == 404 * 86_400


# ------------------------------------------------------------------------------- the table itself
def test_without_the_table_nothing_is_leased_or_given_back(ledger: Ledger) -> None:
    lease = take(ledger.leases, "one")
    ledger.step = lambda operation: "throttled"

    assert isinstance(taken(ledger.leases, "two"), LedgerUnavailable)
    for act in (
        lambda: ledger.leases.give_back(lease, START),
        lambda: ledger.leases.wait_for(wanted(), "m-1", 1),
        lambda: ledger.leases.due("default", START),
    ):
        with pytest.raises(LedgerUnavailable):
            act()


def test_leases_are_the_same_over_motos_table(table: Table) -> None:
    ledger = Ledger()
    ledger.table, ledger.leases = table, leases_in(table)
    lease = in_doubt(ledger)
    ledger.leases.wait_for(wanted(), "m-3", 1)
    assert taken(ledger.leases, "two") is None
    assert ledger.leases.give_back(lease, START)
    assert ledger.leases.due("default", START + DAY) == [PAIR]

    following = take(ledger.leases, "two", wanted("m-4"))
    assert (following.register, following.waiting) == (lease.register, (("m-3", 1),))
    orphaned = take(ledger.leases, "three", now=OVER)
    assert orphaned.orphans == ("m-4",)
    assert not ledger.leases.give_back(following, OVER)


def test_a_register_that_would_not_fit_is_cut_when_its_pair_is_given_back(ledger: Ledger) -> None:
    lease = take(ledger.leases, "one")
    now = milliseconds(START)
    for number in range(5_000):
        lease.register.send(Sent(key(3), (now + number, f"m-{number:036}"), f"m-{number:036}", number, now + number))
    assert len(lease.register.as_text()) > REGISTER

    assert ledger.leases.give_back(lease, START)

    kept = register(ledger.item["register"], lease.register.lag)
    assert 0.9 * REGISTER < len(kept.as_text()) <= REGISTER
    assert {sent.number for sent in lease.register.sends} - {sent.number for sent in kept.sends} >= {0}
    assert 4_999 in {sent.number for sent in kept.sends}  # the latest stay
