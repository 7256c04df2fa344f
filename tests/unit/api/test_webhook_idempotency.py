"""One idempotency key stands for one request: it is run once, and its answer is given again."""

from __future__ import annotations

import pytest

from hubspot_api.client import Answer
from tests.support.aws import Deployment
from tests.support.events import api_event
from tests.support.fakes import Clock, FakeHubSpot, failed
from tests.support.webhook import BODY, PATH, call, is_hubspots_error


def test_the_same_idempotency_key_gives_the_first_answer_again(functions: Deployment, hubspot: FakeHubSpot) -> None:
    _, first, first_headers = call(api_event("POST", PATH, body=BODY, Idempotency_Key="k-1"))

    status, second, headers = call(api_event("POST", PATH, body=BODY, Idempotency_Key="k-1"))

    assert (status, second) == (201, first)
    assert headers["Idempotency-Replayed"] == "true"
    assert headers["Outcome-Id"] == first_headers["Outcome-Id"]
    assert len(hubspot.created) == 1


@pytest.mark.parametrize("pair", ["0-3/0-1", "DEAL/Contact", "deals/0-1"])
def test_the_same_idempotency_key_with_another_spelling_of_the_pair_gives_the_first_answer_again(
    functions: Deployment, hubspot: FakeHubSpot, pair: str
) -> None:
    _, first, first_headers = call(api_event("POST", PATH, body=BODY, Idempotency_Key="k-6"))

    path = PATH.replace("deals/contacts", pair)
    status, second, headers = call(api_event("POST", path, body=BODY, Idempotency_Key="k-6"))

    assert (status, second, headers["Outcome-Id"]) == (201, first, first_headers["Outcome-Id"])
    assert headers["Idempotency-Replayed"] == "true"
    assert len(hubspot.created) == 1


@pytest.mark.parametrize(("first", "second"), [("p_boat", "2-9"), ("2-9", "p_boat"), ("p_boat", "p7_boat")])
def test_nor_does_the_spelling_of_a_custom_type_matter(
    functions: Deployment, hubspot: FakeHubSpot, first: str, second: str
) -> None:
    hubspot.types = {"p_boat": "2-9", "p7_boat": "2-9"}

    answers = [
        call(api_event("POST", PATH.replace("contacts", name), body=BODY, Idempotency_Key="k-7"))
        for name in (first, second)
    ]

    assert [status for status, _, _ in answers] == [201, 201]
    assert answers[0][2]["Outcome-Id"] == answers[1][2]["Outcome-Id"]
    assert len(hubspot.created) == 1


@pytest.mark.parametrize(("first", "second"), [(None, "respond-async"), ("respond-async", None)])
def test_nor_does_it_matter_whether_the_first_or_the_second_waits_for_its_answer(
    functions: Deployment, hubspot: FakeHubSpot, first: str | None, second: str | None
) -> None:
    hubspot.types = {"p_boat": "2-9"}
    path = PATH.replace("contacts", "p_boat")

    answers = [
        call(api_event("POST", path, body=BODY, Idempotency_Key="k-9", Prefer=preference))
        for preference in (first, second)
    ]

    assert {status for status, _, _ in answers} <= {201, 202}
    assert answers[0][2]["Outcome-Id"] == answers[1][2]["Outcome-Id"]


def test_an_idempotency_key_used_for_another_pair_is_422(functions: Deployment) -> None:
    call(api_event("POST", PATH, body=BODY, Idempotency_Key="k-8"))

    path = PATH.replace("deals/contacts", "contacts/deals")

    assert call(api_event("POST", path, body=BODY, Idempotency_Key="k-8"))[0] == 422


def test_an_idempotency_key_used_for_another_body_is_422(functions: Deployment) -> None:
    call(api_event("POST", PATH, body=BODY, Idempotency_Key="k-2"))
    other = {"inputs": [{**BODY["inputs"][0], "maxToObjectIds": 6}]}

    status, error, _ = call(api_event("POST", PATH, body=other, Idempotency_Key="k-2"))

    assert status == 422
    assert is_hubspots_error(error)


def test_an_idempotency_key_whose_request_waits_is_409_until_its_time(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock
) -> None:
    hubspot.replies = [failed(477, retry_after=3600)]
    event = api_event("POST", PATH, body=BODY, Idempotency_Key="k-4")
    assert call(event)[0] == 202
    clock.advance(600)

    for again in (event, api_event("POST", PATH, body=BODY, Idempotency_Key="k-4", Prefer="respond-async")):
        status, error, headers = call(again)

        assert (status, headers["Retry-After"], headers["Outcome-Status"]) == (409, "3000", "DEFERRED")
        assert is_hubspots_error(error)
    assert len(hubspot.created) == 1

    clock.advance(3000)
    assert call(event)[0] == 201


def test_an_idempotency_key_whose_request_runs_is_409_until_its_lease_ends(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock
) -> None:
    def ended_from_outside(inputs: object) -> Answer:
        raise KeyboardInterrupt

    event = api_event("POST", PATH, body=BODY, Idempotency_Key="k-5")
    hubspot.replies = [ended_from_outside]

    with pytest.raises(KeyboardInterrupt):
        call(event)
    status, _, headers = call(event)

    assert (status, headers["Retry-After"], headers["Outcome-Status"]) == (409, "42", "RUNNING")
