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
