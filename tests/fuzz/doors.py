"""The four doors, into the real entry points in virtual time, and what must be true of whatever came in."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, cycle
from typing import Any

import requests
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from model.contract import ContractError
from model.outcomes import Outcome, Result, Status
from tests.fuzz import inputs
from tests.fuzz.described import Asked, Call, calls, conforms
from tests.fuzz.events import after, known
from tests.fuzz.inputs import Said
from tests.simulation.deployment import installed
from tests.simulation.plan import make
from tests.simulation.scenario import SECONDS, Scenario
from tests.simulation.transport import response
from tests.simulation.world import World

SECRETS = re.compile(r"static-1|static-acme|client-key|app-secret")
(VALID_INPUT,) = inputs.VALID["inputs"]
CALL = 2  # inputs of one call at most, so that few of them need a second one
AFTER = 3_600.0  # seconds of virtual time until all is looked at: schedules are tried three times within minutes
# A HubSpot that is never well is asked for ever, and the look may fall into a run that waits for its turn.
WAITING = {Status.DEFERRED, Status.QUEUED, Status.RUNNING}


def calm() -> Scenario:
    """A world in which nothing fails by itself: HubSpot, AWS and our workers are well."""
    plan = replace(
        make(1, 1),
        batch_size=CALL,
        asks=[],
        faults=[],
        switches={},
        crash=0,
        stall=0,
        aws_fails=0,
        refused_connections=0,
        duplicates=0,
        token_change=None,
        oauth=False,
        broken_oauth=None,
        unreadable=None,
    )
    scenario = Scenario(plan)
    scenario.store_secrets()
    return scenario


def webhook(scenario: Scenario, asked: Asked) -> str:
    """One HTTP call: answered below 500 and as described, and what is promised is in the ledger."""
    answer = _answered(scenario, asked)
    for outcome_id in answer["multiValueHeaders"].get("Outcome-Id", []):
        assert outcome_id in scenario.outcomes
        for method, path in after(outcome_id):
            _answered(scenario, known(method, path))
    return str(answer["statusCode"])


def _answered(scenario: Scenario, asked: Asked) -> dict[str, Any]:
    answer = _called(scenario, asked)
    assert 200 <= answer["statusCode"] < 500, answer
    body = json.loads(answer["body"])
    if answer["statusCode"] >= 400:
        assert {"status", "message", "correlationId", "category"} <= body.keys(), body
    _all_answered(scenario)
    return answer


def _called(scenario: Scenario, asked: Asked) -> dict[str, Any]:
    answers: list[dict[str, Any] | None] = []
    event = asked.event if isinstance(asked, Call) else asked
    scenario.functions.invoke("webhook", event, SECONDS["webhook"], answers.append)
    _settle(scenario)
    (answer,) = answers
    assert answer is not None, "the function failed"
    assert answer["statusCode"] != 500, answer
    assert not SECRETS.search(json.dumps(answer))
    conforms(asked, answer)
    return answer


def queue(scenario: Scenario, message: tuple[str, str | None]) -> str:
    """One message: deleted, and one outcome is in the ledger, with an end."""
    body, outcome_id = message
    scenario.queue.send(body, {"OutcomeId": {"StringValue": outcome_id}} if outcome_id else {})
    _settle(scenario)
    assert not scenario.queue.messages, "the message came back"
    assert len(scenario.outcomes) == 1
    return _all_answered(scenario)


def schedule(scenario: Scenario, event: Any) -> str:
    """One input: run, or refused by a ContractError three times and then settled as a dead letter."""
    scenario.fire(event)
    _settle(scenario, expected=ContractError)
    assert not scenario.dead_letters.messages, "the dead letter came back"
    assert len(scenario.outcomes) == 1
    return _all_answered(scenario)


def hubspot(scenario: Scenario, said: tuple[bool, int, list[Said]]) -> str:
    """HubSpot's answers to the calls of one request, of somebody who waits for it or on the queue, and of so many
    inputs: the outcome says nothing that was not said, and who waits is answered as described."""
    waits, number, answers = said
    asked_for = [VALID_INPUT | {"typeId": VALID_INPUT["typeId"] + n} for n in range(number)]
    left = chain(answers, cycle([answers[-1]]))

    def send(request: requests.PreparedRequest, **_: Any) -> requests.Response:
        answer = next(left)
        return response(request, answer.status, answer.headers, answer.body)

    vars(scenario.wire)["send"] = send
    if waits:
        asked = known("POST", inputs.PATH, json.dumps({"inputs": asked_for}))
        (outcome_id,) = _called(scenario, asked)["multiValueHeaders"]["Outcome-Id"]
        for method, path in after(outcome_id):
            _called(scenario, known(method, path))
    else:
        outcome_id = scenario.queue.send(json.dumps(inputs.VALID | {"inputs": asked_for}), {})
        _settle(scenario)
    outcome = scenario.outcomes[outcome_id]
    # Who waits is told 502 where the token is refused, and replays it when that is mended.
    open_still = {*WAITING, Status.FAILED} if waits else WAITING
    assert outcome.status in open_still or all(item.result is not Result.PENDING for item in outcome.inputs)
    if not any(200 <= each.status < 300 for each in answers):
        assert all(item.result not in {Result.APPLIED, Result.UNCHANGED} for item in outcome.inputs)
    _nothing_leaks(scenario)
    return outcome.status.value


@dataclass(frozen=True)
class Door:
    """Where something comes in: what that can be, and what is done with it. `enter` tells what became of it."""

    inputs: st.SearchStrategy[Any]
    enter: Callable[[Scenario, Any], str]


DOORS = {
    "webhook": Door(inputs.any_of(inputs.webhook_inputs, calls), webhook),
    "queue": Door(inputs.queue_inputs, queue),
    "schedule": Door(inputs.schedule_inputs, schedule),
    "hubspot": Door(st.tuples(st.booleans(), st.integers(1, CALL + 1), inputs.said_inputs), hubspot),
}


def fuzz(door: Door, examples: int, first: int) -> Counter[str]:
    """Let so many inputs in, and count what became of them. Raises what the smallest input found does wrong."""
    counted: Counter[str] = Counter()

    @seed(first)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(door.inputs)
    def enter(value: Any) -> None:
        counted[door.enter(calm(), value)] += 1

    with installed():
        enter()
    return counted


def _settle(scenario: Scenario, expected: type[Exception] | None = None) -> None:
    world: World = scenario.world
    world.run(world.now + AFTER)
    world.close()
    unexpected = [
        failure for _, failure in scenario.functions.failures if not (expected and isinstance(failure, expected))
    ]
    if unexpected:
        raise unexpected[0]


def _all_answered(scenario: Scenario) -> str:
    """Every outcome has an end, and so has each of its inputs; their statuses."""
    outcomes: list[Outcome] = list(scenario.outcomes.values())
    for outcome in outcomes:
        assert outcome.status.final, outcome
        assert all(item.result is not Result.PENDING for item in outcome.inputs), outcome
    _nothing_leaks(scenario)
    return " ".join(sorted(outcome.status.value for outcome in outcomes))


def _nothing_leaks(scenario: Scenario) -> None:
    for item in scenario.dynamo.items.values():
        assert not SECRETS.search(json.dumps(item, default=str)), item


def spread(total: int) -> Iterator[tuple[str, int]]:
    """So many inputs over the doors, as evenly as can be."""
    for place, name in enumerate(DOORS):
        yield name, total // len(DOORS) + (place < total % len(DOORS))
