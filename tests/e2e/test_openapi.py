"""The deployed stack keeps to docs/openapi.yaml, over real HTTP, in what callers do and in what schemathesis does."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import Case, GenerationMode, Response

from tests.e2e.deployed import LocalStack
from tests.fuzz.described import OPERATIONS, PATH, SCHEMA, holds, in_integers, let_in
from tests.fuzz.inputs import any_of

# No other test sets limits on this pair, of which HubSpot knows one type only.
PAIR = {"version": "2026-03", "from": "tickets", "to": "companies"}
EXAMPLES = 100
LIMIT = {"category": "HUBSPOT_DEFINED", "typeId": 339, "maxToObjectIds": 40}
NO_LIMIT = {"category": "HUBSPOT_DEFINED", "typeId": 999, "maxToObjectIds": 2}


def sent(local: LocalStack, case: Case[Any]) -> Response:
    """The answer to a call, which keeps to the description."""
    answer = case.call(base_url=local["apiUrl"], session=local.api)
    local.answers.append(f"{answer.headers}\n{answer.text}")
    holds(case, answer)
    return answer


def call(local: LocalStack, method: str, path: str, body: object = None, **parts: Any) -> Response:
    """The same, by a caller with the key."""
    content: dict[str, Any] = {} if body is None else {"body": body, "media_type": "application/json"}
    return sent(local, let_in(SCHEMA[path][method].Case(**content, **parts), local["clientKey"]))


def create(local: LocalStack, *limits: dict[str, Any], **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return call(local, "POST", PATH, {"inputs": list(limits)}, path_parameters=dict(PAIR), headers=named)


def test_what_schemathesis_sends_is_answered_as_described(local: LocalStack) -> None:
    statuses = []
    fixed = PAIR | {"portal": "default"}
    calls = any_of(
        *(operation.as_strategy(mode, path_parameters=fixed) for operation in OPERATIONS for mode in GenerationMode)
    )
    known = calls.map(lambda case: let_in(in_integers(case), local["clientKey"]))

    @seed(1)
    @settings(
        max_examples=EXAMPLES,
        database=None,
        phases=[Phase.generate],  # what is not as described is so by its message: to shrink it takes minutes
        suppress_health_check=list(HealthCheck),
    )
    @given(any_of(calls, known, known, known))
    def send(case: Case[Any]) -> None:
        statuses.append(sent(local, case).status_code)

    send()

    assert len(statuses) >= EXAMPLES / 2
    assert {400, 401, 404} < set(statuses)  # and some that were taken
    local.drained()


def test_what_is_applied_and_what_hubspot_refuses_is_answered_as_described(local: LocalStack) -> None:
    nowhere = call(local, "POST", PATH, {"inputs": [LIMIT]}, path_parameters=PAIR | {"to": "nowhere"})
    answers = [create(local, LIMIT), create(local, LIMIT, NO_LIMIT), create(local, NO_LIMIT), nowhere]

    outcomes = [
        call(local, "GET", "/outcomes/{id}", path_parameters={"id": answer.headers["outcome-id"][0]}).json()
        for answer in answers
    ]

    assert [answer.status_code for answer in answers] == [201, 207, 207, 400]
    assert [outcome["status"] for outcome in outcomes] == ["COMPLETE", "PARTIAL", "REJECTED", "REJECTED"]


def test_what_waits_in_the_queue_is_answered_as_described(local: LocalStack) -> None:
    key = uuid4().hex
    accepted = create(local, LIMIT, Prefer="respond-async", Idempotency_Key=key)
    again = create(local, LIMIT, Prefer="respond-async", Idempotency_Key=key)
    other = create(local, NO_LIMIT, Prefer="respond-async", Idempotency_Key=key)

    assert (accepted.status_code, other.status_code) == (202, 422)
    assert again.status_code in {201, 202, 409}  # done, waiting, or running by now
    local.final(accepted.headers["outcome-id"][0])
    replayed = create(local, LIMIT, Prefer="respond-async", Idempotency_Key=key)
    assert (replayed.status_code, replayed.headers["idempotency-replayed"]) == (201, ["true"])


def test_pages_of_a_list_are_answered_as_described(local: LocalStack) -> None:
    for _ in range(3):
        create(local, LIMIT)
    query: dict[str, Any] = {"from": PAIR["from"], "to": PAIR["to"], "limit": 2}

    first = call(local, "GET", "/outcomes", query=dict(query)).json()
    query["after"] = first["paging"]["next"]["after"]
    second = call(local, "GET", "/outcomes", query=query)

    assert (len(first["results"]), second.status_code) == (2, 200)


def test_a_replay_is_answered_as_described(local: LocalStack) -> None:
    done, partly = create(local, LIMIT), create(local, LIMIT, NO_LIMIT)

    def replay(of: Response, **query: str) -> Response:
        return call(
            local,
            "POST",
            "/outcomes/{id}/replay",
            path_parameters={"id": of.headers["outcome-id"][0]},
            query=query,
        )

    nothing_left, accepted, again = replay(done), replay(partly), replay(partly)

    assert [answer.status_code for answer in (nothing_left, accepted, again)] == [409, 202, 202]
    assert again.headers["idempotency-replayed"] == ["true"]
    local.final(accepted.headers["outcome-id"][0])
    local.drained()
