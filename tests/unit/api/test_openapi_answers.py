"""What docs/openapi.yaml says of answers, against the code that gives them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from aws_lambda_powertools.event_handler.exceptions import NotFoundError, ServiceError

from api import response
from api.authentication import TooManyRequests, Unauthenticated
from api.clients import Forbidden
from api.headers import SECURITY_HEADERS
from api.request import JSON
from api.response import readable
from infra.ingress import REFUSALS, ROUTES, UNSIGNED
from ledger.ledger import ATTEMPTS_KEPT
from ledger.replay import NotReplayable
from model.contract import Category, ContractError, Problem
from model.errors import LedgerUnavailable
from model.outcomes import Attempt, Doubt, HubSpotResponse, InputOutcome, Outcome, Result, Status, Trigger, Verdict
from tests.support.openapi import DESCRIPTION, OPERATIONS, SCHEMAS, facts, model, resolved, validator

MOMENT = datetime(2026, 11, 24, 9, tzinfo=UTC)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_answer_is_json_with_the_security_headers(method: str, path: str) -> None:
    for status, answer in OPERATIONS[method, path]["responses"].items():
        described = resolved(answer)
        assert list(described["content"]) == [JSON], status
        for name, value in SECURITY_HEADERS.items():
            assert described["headers"][name] == {"required": True, "schema": {"type": "string", "enum": [value]}}


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_what_api_gateway_refuses_of_a_route_is_described(method: str, path: str) -> None:
    statuses = {status for status, _, _ in REFUSALS.values() if status}
    of_no_route, of_a_body = "404", "413"

    assert statuses - {of_no_route, of_a_body} <= OPERATIONS[method, path]["responses"].keys()
    assert of_a_body in OPERATIONS[method, path]["responses"] or "requestBody" not in OPERATIONS[method, path]


def test_an_outcome_has_the_fields_of_the_code() -> None:
    taken = facts(model(Outcome))
    for hidden in ("apiVersion", "doubt", "orderedAs", "waits", "parked"):
        del taken["properties"][hidden]
    del taken["properties"]["hubspot"]["properties"]["verbatim"]
    taken["properties"]["hubspot"]["properties"]["body"] = {}  # whatever JSON it holds

    assert facts(resolved(SCHEMAS["Outcome"])) == taken
    assert SCHEMAS["Outcome"]["properties"]["attempts"]["maxItems"] == ATTEMPTS_KEPT


@pytest.mark.parametrize(
    ("name", "of"),
    [("Outcome", Outcome), ("Input", InputOutcome), ("Attempt", Attempt), ("HubSpotResponse", HubSpotResponse)],
)
def test_what_is_never_absent_is_required_and_nothing_else_is_there(name: str, of: Any) -> None:
    described = SCHEMAS.get(name, SCHEMAS["Outcome"]["properties"]["hubspot"])

    assert set(described.get("required", [])) == set(model(of)["required"]) - {"verbatim"}
    assert described["additionalProperties"] is False


def full(**changes: Any) -> Outcome:
    """An outcome of which everything is known."""
    doubt = Doubt(since=MOMENT)
    item = InputOutcome(
        category=Category.WORK,
        type_id=3,
        max_to_object_ids=5,
        result=Result.SUPERSEDED,
        message="m",
        correlation_id="c",
        superseded_by="o-2",
        previous=7,
    )
    attempt = Attempt(
        at=MOMENT, call="create", verdict=Verdict.ANSWERED, http_status=207, correlation_id="c", message="m"
    )
    known = Outcome(
        id="o-1",
        replay_of="o-0",
        replayed_by="o-2",
        client="crm",
        requested_by="r",
        reason="r",
        received="r",
        requested_at=MOMENT,
        started_at=MOMENT,
        finished_at=MOMENT,
        retry_at=MOMENT,
        portal="default",
        from_object_type="deals",
        to_object_type="0-1",
        status=Status.DEFERRED,
        trigger=Trigger.QUEUE,
        inputs=(item,),
        hubspot=HubSpotResponse(http_status=207, status="COMPLETE", correlation_id="c", body='{"results": []}'),
        attempts=(attempt,),
        doubt=doubt,
        api_version="2026-03",
        ordered_as="1795424400000#o-0",
    )
    return replace(known, **changes)


@pytest.mark.parametrize("body", ['{"results": []}', "[null]", "<html>", ""])
def test_an_outcome_of_which_all_is_known_is_as_described(body: str) -> None:
    shown = readable(full(hubspot=HubSpotResponse(http_status=207, status="COMPLETE", correlation_id="c", body=body)))

    assert set(shown) == set(SCHEMAS["Outcome"]["properties"])
    validator("Outcome").validate(shown)


def test_an_outcome_of_which_little_is_known_is_as_described() -> None:
    shown = readable(
        Outcome(id="o-1", portal="default", status=Status.REJECTED, trigger=Trigger.QUEUE, requested_at=MOMENT)
    )

    assert set(shown) == set(SCHEMAS["Outcome"]["required"])
    validator("Outcome").validate(shown)


REFUSED: list[Exception] = [
    ContractError([Problem("inputs[0].typeId", "is required"), Problem("", "is no JSON")]),
    Unauthenticated("missing", "send a key"),
    Forbidden("not yours"),
    TooManyRequests("crm", 60, 30),
    NotFoundError("no such outcome"),
    NotReplayable("it is still running"),
    ServiceError(413, "too large"),
    ServiceError(415, "no JSON"),
    LedgerUnavailable("throttled"),
    RuntimeError("unforeseen"),
]


def test_the_categories_of_errors_are_those_that_are_given() -> None:
    answers = [response.refusal(failure, "c-1") for failure in REFUSED]
    answers.append(response.finished(full(status=Status.FAILED, hubspot=None), "c-1", replayed=False))
    bodies = [json.loads(answer.body or "") for answer in answers]

    for body in bodies:
        validator("Error").validate(body)
    given = {body["category"] for body in bodies} | {
        category for _, category, _ in [*REFUSALS.values(), *UNSIGNED.values()]
    }
    assert given == set(SCHEMAS["Error"]["properties"]["category"]["enum"])


def test_a_request_in_the_queue_is_answered_as_described() -> None:
    answer = response.accepted(full(), MOMENT, preferred=True, replayed=True)
    headers = resolved(DESCRIPTION["components"]["responses"]["Queued"]["headers"])

    validator("Pending").validate(json.loads(answer.body or ""))
    assert set(answer.headers) - {"Content-Type"} == set(headers)
