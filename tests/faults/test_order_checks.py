"""The checks of order see what they are for, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from model.contract import Category
from model.outcomes import InputOutcome, Outcome, Result, Status, Trigger
from tests.faults.evidence import Call, Evidence
from tests.faults.order_checks import order_violations

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
KEY = ("0-3", "0-1", "HUBSPOT_DEFINED", 3)
OLDER, YOUNGER = 5, 9


def outcome(name: str, asked: int, ended: int, number: int, result: Result = Result.APPLIED, **more: Any) -> Outcome:
    """One that was asked for and ended so many seconds after noon."""
    item = InputOutcome(category=Category.HUBSPOT_DEFINED, type_id=3, max_to_object_ids=number, result=result, **more)
    moments = [NOON + timedelta(seconds=seconds) for seconds in (asked, ended)]
    return Outcome(
        id=name,
        portal="default",
        from_object_type="DEAL",
        to_object_type="contacts",
        status=Status.COMPLETE,
        trigger=Trigger.QUEUE,
        requested_at=moments[0],
        finished_at=moments[1],
        inputs=(item,),
    )


def create(sequence: int, second: float, number: int, *, lands: float = 0, status: int | None = 201) -> Call:
    """A call that asks for a number, and sets it unless it is refused."""
    moment = NOON.timestamp() + second
    numbers = frozenset({(KEY, number)})
    done = numbers if status is None or status < 300 else frozenset[Any]()
    return Call(sequence, moment, "create", KEY[:2], status, numbers, done, moment + lands, None, None)


def found(outcomes: list[Outcome], *calls: Call, there: int) -> list[str]:
    evidence = Evidence({each.id: each for each in outcomes}, list(calls), {KEY: there})
    return [violation.what for violation in order_violations(evidence)]


def test_requests_that_were_applied_in_their_order_are_right() -> None:
    both = [outcome("older", 0, 2, OLDER), outcome("younger", 1, 4, YOUNGER)]

    assert not found(both, create(1, 1.5, OLDER), create(2, 3, YOUNGER), there=YOUNGER)


def test_an_older_number_that_is_sent_once_a_younger_one_is_done_is_found() -> None:
    both = [outcome("older", 0, 6, OLDER), outcome("younger", 1, 4, YOUNGER)]

    problems = found(both, create(1, 3, YOUNGER), create(2, 5, OLDER), there=OLDER)

    assert len(problems) == 3
    assert any("has 5 of ['older'], and not 9" in problem for problem in problems)
    assert any("was first sent after younger had been set" in problem for problem in problems)
    assert any("was sent by call 2 after younger, which is younger, was done" in problem for problem in problems)


def test_an_older_number_that_lands_late_must_be_put_back() -> None:
    both = [outcome("older", 0, 4, OLDER, Result.SUPERSEDED), outcome("younger", 1, 4, YOUNGER)]
    landed = [create(1, 2, OLDER, lands=60, status=None), create(2, 3, YOUNGER)]

    assert len(found(both, *landed, there=OLDER)) == 1
    assert not found(both, *landed, create(3, 200, YOUNGER), there=YOUNGER)
    assert not found(both, *landed, create(3, 200, YOUNGER, status=422), there=OLDER)  # HubSpot takes it no more


def test_a_number_that_hubspot_took_counts_whatever_its_outcome_says() -> None:
    both = [outcome("older", 0, 2, OLDER), outcome("younger", 1, 4, YOUNGER, Result.UNCONFIRMED)]

    problems = found(both, create(1, 1.5, OLDER), create(2, 3, YOUNGER), create(3, 3.5, OLDER), there=OLDER)

    assert len(problems) == 1
    assert "and not 9 of the youngest" in problems[0]
