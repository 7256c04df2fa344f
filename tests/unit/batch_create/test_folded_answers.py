"""An outcome is answered in HubSpot's words only where all of them are about it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from api.response import answer as answer_of
from hubspot_api.client import Answer
from model.contract import LimitInput
from model.outcomes import Outcome, Result, Status
from tests.support.fakes import FakeHubSpot, Service, answer, echo, failed, key, request

REFUSAL = {"status": "error", "message": "typeId 4 is bad", "category": "VALIDATION_ERROR"}


def all_but_type_4(inputs: Sequence[LimitInput]) -> Answer:
    good = [echo(item) for item in inputs if item.type_id != 4]
    return answer(good, 207, errors=[REFUSAL], numErrors=1) if len(good) < len(inputs) else answer(good)


def told(outcome: Outcome) -> tuple[int, dict[str, Any]]:
    status, body = answer_of(outcome)
    return status, json.loads(body) if isinstance(body, str) else body


def test_given_a_good_and_a_bad_request_in_one_call_each_is_answered_for_itself() -> None:
    service = Service(FakeHubSpot(replies=[all_but_type_4]))

    good, bad = service.run(request("m-1", (3, 5)), request("m-2", (4, 6)))

    assert service.hubspot.sent == [[3, 4]]
    assert (good.status, bad.status) == (Status.COMPLETE, Status.REJECTED)
    status, body = told(good)
    assert (status, [row["typeId"] for row in body["results"]], body.get("errors")) == (200, [3], None)
    status, body = told(bad)
    assert (status, body["results"], [each["message"] for each in body["errors"]]) == (207, [], ["typeId 4 is bad"])
    assert json.loads(good.hubspot.body or "")["errors"] == [REFUSAL] if good.hubspot else False


def test_given_a_request_alone_in_its_call_hubspots_words_are_its_answer() -> None:
    service = Service(FakeHubSpot(replies=[all_but_type_4]))

    (outcome,) = service.run(request("m-1", (3, 5), (4, 6)))

    status, body = told(outcome)
    assert (status, body["errors"], body["numErrors"]) == (207, [REFUSAL], 1)
    assert outcome.hubspot is not None
    assert answer_of(outcome) == (207, outcome.hubspot.body)


def test_given_two_requests_for_the_same_numbers_hubspots_words_are_the_answer_to_both() -> None:
    service = Service(FakeHubSpot())

    outcomes = service.run(request("m-1", (3, 5)), request("m-2", (3, 5)))

    assert [answer_of(outcome)[0] for outcome in outcomes] == [201, 201]


def test_given_a_request_of_several_calls_its_answer_is_joined_from_them() -> None:
    service = Service(FakeHubSpot(), batch_size=2)

    (outcome,) = service.run(request("m-1", *((number, 5) for number in range(20, 25))))

    status, body = told(outcome)
    assert (status, [row["typeId"] for row in body["results"]]) == (201, [20, 21, 22, 23, 24])
    assert outcome.hubspot is not None
    assert outcome.hubspot.verbatim


def test_given_a_superseded_input_the_answer_is_in_our_words() -> None:
    service = Service(FakeHubSpot())

    older, _ = service.run(request("m-1", (3, 5)), request("m-2", (3, 7)))

    assert older.inputs[0].result is Result.SUPERSEDED
    status, body = told(older)
    assert (status, body["results"]) == (207, [])
    assert "m-2" in body["errors"][0]["message"]


def test_given_an_input_proved_by_reading_back_the_answer_is_in_our_words() -> None:
    service = Service(FakeHubSpot(replies=[failed(504)], applies=True))

    (outcome,) = service.run(request("m-1", (3, 5)))

    assert outcome.inputs[0].result is Result.APPLIED
    assert told(outcome)[0] == 200


def test_given_a_refusal_that_proves_nothing_it_is_no_answer() -> None:
    # The first send is in doubt, the second is refused, and another number is set: nobody knows what came between.
    service = Service(FakeHubSpot(replies=[failed(504), *[failed(400, "no")] * 9]))
    service.hubspot.limits[key(3)] = 7

    outcome = service.run_until_final(request("m-1", (3, 5)))

    assert outcome.status is Status.UNCONFIRMED
    status, body = told(outcome)
    assert (status, [each["category"] for each in body["errors"]]) == (207, ["UNCONFIRMED"])


def test_given_an_input_of_which_no_answer_tells_the_answer_is_in_our_words() -> None:
    # Of two calls one is refused; the other comes to no answer, and HubSpot refuses to be read.
    hubspot = FakeHubSpot(replies=[failed(422, "no"), failed(504)], reads=[failed(404), failed(404)])
    service = Service(hubspot, batch_size=1)

    outcome = service.run_until_final(request("m-1", (3, 5), (4, 5)))

    assert [item.result for item in outcome.inputs] == [Result.REJECTED, Result.UNCONFIRMED]
    status, body = told(outcome)
    assert (status, len(body["errors"])) == (207, 2)


def test_given_an_echo_of_another_number_that_cannot_be_read_back_the_answer_is_in_our_words() -> None:
    hubspot = FakeHubSpot(reads=[failed(404)] * 2)
    hubspot.replies = [lambda inputs: answer([echo(inputs[0], 6)], 207, errors=[REFUSAL], numErrors=1)]

    (outcome,) = Service(hubspot).run(request("m-1", (3, 5), (4, 5)))

    assert [item.result for item in outcome.inputs] == [Result.UNCONFIRMED, Result.REJECTED]
    status, body = told(outcome)
    assert (status, body["results"], len(body["errors"])) == (207, [], 2)


@pytest.mark.parametrize("http_status", [202, 299])
def test_given_a_2xx_that_means_something_else_here_the_answer_is_in_our_words(http_status: int) -> None:
    service = Service(FakeHubSpot(replies=[lambda inputs: answer(list(map(echo, inputs)), http_status)]))

    (outcome,) = service.run(request("m-1", (3, 5)))

    assert outcome.status is Status.COMPLETE
    assert told(outcome)[0] == 200


def test_given_limits_both_lowered_a_refusal_that_was_overcome_is_no_part_of_the_answer() -> None:
    # First the object limit (3), which HubSpot refuses while the label's is above it; then the label's; then 3 again.
    refused = {"status": "error", "message": "typeId 3 is below a label's limit", "category": "VALIDATION_ERROR"}
    first = answer([{**echo(LABEL), "userEnforcedMaxToObjectIds": 2}], 207, errors=[refused], numErrors=1)
    service = Service(FakeHubSpot(replies=[first]))

    (outcome,) = service.run(request("m-1", (3, 5), (1, 2)))

    assert service.hubspot.sent == [[3, 1], [3]]
    assert outcome.status is Status.COMPLETE
    status, body = told(outcome)
    assert (status, body.get("errors")) == (200, None)


LABEL = request("m-0", (1, 2)).envelope.inputs[0]


def test_the_number_of_steps_grows_with_the_inputs_and_not_with_their_square(monkeypatch: pytest.MonkeyPatch) -> None:
    # Each decided input once built its request's inputs anew: 170 requests of 500 took 46 s of processor time.
    built: list[object] = []

    def counting(record: Any, **changes: Any) -> Any:
        built.append(record)
        return replace(record, **changes)

    monkeypatch.setattr("batch_create.claimed_request.replace", counting)
    requests = [request(f"m-{number}", *((limit, 5) for limit in range(20, 220))) for number in range(30)]

    outcomes = Service(FakeHubSpot()).run(*requests)

    assert {outcome.status for outcome in outcomes} == {Status.COMPLETE}
    assert len(built) <= 30 * (200 + 3)
