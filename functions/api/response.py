"""Answers over HTTP. Every error has HubSpot's error shape; every outcome is answered as HubSpot would answer it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from math import ceil
from typing import Any

from aws_lambda_powertools.event_handler import Response, content_types
from aws_lambda_powertools.event_handler.exceptions import ServiceError

from api.authentication import TooManyRequests, Unauthenticated
from api.clients import Forbidden
from api.headers import answer_headers
from hubspot_api.merged_answer import MULTI_STATUS, decides, is_2xx
from ledger.claim import Claim, ClaimStatus
from ledger.replay import DONE, NotReplayable
from model import json_text
from model.contract import ContractError, Problem
from model.errors import HubSpotFailure, LedgerUnavailable
from model.hubspot_answer import AnswerStatus
from model.outcomes import Outcome, Result, Status
from model.records import iso, plain
from runtime.telemetry import count, logger

# HubSpot's category of an error, where it is not the status' own name.
CATEGORIES = {
    **dict.fromkeys((400, 413, 415, 422), "VALIDATION_ERROR"),
    HTTPStatus.UNAUTHORIZED: "INVALID_AUTHENTICATION",
    HTTPStatus.TOO_MANY_REQUESTS: "RATE_LIMITS",
    HTTPStatus.INTERNAL_SERVER_ERROR: "INTERNAL_ERROR",
}
REFUSED = "CallerRefused"  # by reason: missing, unknown, expired, signature, time, forbidden or rate
RETRY_SECONDS = "30"  # what a caller is asked to wait when AWS, not HubSpot, is in the way


def reply(status: int, body: object, headers: Mapping[str, str] | None = None) -> Response[str]:
    """A JSON answer; text is taken as JSON already."""
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return Response(
        status,
        content_types.APPLICATION_JSON,
        text,
        headers={**answer_headers(os.environ.get("CORS_ORIGIN", "")), **(headers or {})},
    )


def error(
    status: HTTPStatus,
    message: str,
    correlation_id: str,
    headers: Mapping[str, str] | None = None,
    problems: Sequence[Problem] = (),
) -> Response[str]:
    """An error of ours, in HubSpot's shape."""
    category = CATEGORIES.get(status, status.name)
    body: dict[str, Any] = {
        "status": "error",
        "message": message,
        "correlationId": correlation_id,
        "category": category,
    }
    if problems:
        body["errors"] = [{"message": str(problem), "in": problem.field} for problem in problems]
    return reply(status, body, headers)


def finished(outcome: Outcome, correlation_id: str, *, replayed: bool) -> Response[str]:
    """The answer to a request whose outcome is final."""
    headers = _headers(outcome, replayed=replayed)
    if outcome.status is Status.FAILED:
        applied = sum(item.result in DONE for item in outcome.inputs)
        message = f"{outcome.reason} ({applied} of {len(outcome.inputs)} inputs were done; see /outcomes/{outcome.id})"
        return error(HTTPStatus.BAD_GATEWAY, message, correlation_id, headers)
    status, body = answer(outcome)
    return reply(status, body, headers)


def answer(outcome: Outcome) -> tuple[int, str | dict[str, Any]]:
    """The status and body of the answer to a request whose outcome is final and not FAILED: HubSpot's own where every
    row and error in it is about this outcome and true, else ours in HubSpot's shape."""
    response = outcome.hubspot
    if response and response.http_status:
        if response.verbatim:
            return response.http_status, response.body or ""
        if outcome.status is Status.REJECTED and decides(response) and not is_2xx(response):
            return response.http_status, {
                "status": "error",
                "category": "VALIDATION_ERROR",
                "message": outcome.inputs[0].message,
                "correlationId": response.correlation_id or outcome.id,
            }
    elif outcome.status is Status.REJECTED:  # HubSpot was not asked to set anything, as it does not know a type
        return HTTPStatus.BAD_REQUEST, {
            "status": "error",
            "category": "VALIDATION_ERROR",
            "message": outcome.inputs[0].message,
            "correlationId": outcome.id,
        }
    done = [item for item in outcome.inputs if item.result in (Result.APPLIED, Result.UNCHANGED)]
    body: dict[str, Any] = {
        "status": AnswerStatus.COMPLETE.value,
        "startedAt": iso(outcome.started_at or outcome.requested_at),
        "completedAt": iso(outcome.finished_at or outcome.requested_at),
        "results": [
            {
                "category": item.category.value,
                "typeId": item.type_id,
                "label": None,
                "userEnforcedMaxToObjectIds": item.max_to_object_ids,
            }
            for item in done
        ],
    }
    if len(done) == len(outcome.inputs):
        return 200, body
    errors = [
        {
            "status": "error",
            "category": "VALIDATION_ERROR" if item.result is Result.REJECTED else item.result.value,
            "message": item.message or f"superseded by outcome {item.superseded_by}",
            "context": {"category": [item.category.value], "typeId": [str(item.type_id)]},
        }
        for item in outcome.inputs
        if item.result not in (Result.APPLIED, Result.UNCHANGED)
    ]
    return MULTI_STATUS, {**body, "errors": errors, "numErrors": len(errors)}


def accepted(outcome: Outcome, now: datetime, *, preferred: bool = False, replayed: bool = False) -> Response[str]:
    """The answer to a request that goes on in the queue: HubSpot's own shape, with nothing decided yet."""
    headers = _headers(outcome, replayed=replayed)
    if preferred:
        headers["Preference-Applied"] = "respond-async"
    moment = iso(now)
    # HubSpot's shape requires both times; they are those of this answer, the only one that is complete.
    body = {
        "status": "PENDING",
        "requestedAt": iso(outcome.requested_at),
        "startedAt": moment,
        "completedAt": moment,
        "results": [],
        "links": {"outcome": f"/outcomes/{outcome.id}"},
    }
    return reply(HTTPStatus.ACCEPTED, body, headers)


def concluded(claim: Claim, now: datetime, correlation_id: str) -> Response[str]:
    """The answer to a request for which nothing more is to be done here, by its claim status."""
    outcome, see = claim.outcome, f"see /outcomes/{claim.outcome.id}."
    match claim.claim_status:
        case ClaimStatus.LEDGER_UNAVAILABLE:
            raise LedgerUnavailable(str(outcome.reason))
        case ClaimStatus.KEY_REUSED:
            message = f"This Idempotency-Key was used before, for a request with another body; {see}"
            return error(HTTPStatus.UNPROCESSABLE_ENTITY, message, correlation_id)
        case ClaimStatus.LEASED | ClaimStatus.DEFERRED:
            until = claim.lease_until or outcome.retry_at or now
            seconds = max(1, ceil((until - now).total_seconds()))
            message = f"The request with this Idempotency-Key is still running; {see}"
            headers = _headers(outcome) | {"Retry-After": str(seconds)}
            return error(HTTPStatus.CONFLICT, message, correlation_id, headers)
    return finished(outcome, correlation_id, replayed=claim.claim_status is ClaimStatus.FINAL)


def _headers(outcome: Outcome, *, replayed: bool = False) -> dict[str, str]:
    headers = {"Outcome-Id": outcome.id, "Location": f"/outcomes/{outcome.id}", "Outcome-Status": outcome.status.value}
    return headers | ({"Idempotency-Replayed": "true"} if replayed else {})


def refusal(failure: Exception, correlation_id: str) -> Response[str]:
    """The answer to a request that raised an exception."""
    match failure:
        case ContractError():
            message = f"Invalid request: {failure}"
            return error(HTTPStatus.BAD_REQUEST, message, correlation_id, problems=failure.problems)
        case Unauthenticated():
            count(REFUSED, reason=failure.reason)
            headers = {"WWW-Authenticate": "Bearer"}
            return error(HTTPStatus.UNAUTHORIZED, str(failure), correlation_id, headers)
        case NotReplayable():
            return error(HTTPStatus.CONFLICT, f"{failure}.", correlation_id)
        case Forbidden():
            count(REFUSED, reason="forbidden")
            return error(HTTPStatus.FORBIDDEN, str(failure), correlation_id)
        case TooManyRequests():
            count(REFUSED, reason="rate")
            headers = {"Retry-After": str(failure.seconds)}
            return error(HTTPStatus.TOO_MANY_REQUESTS, f"{failure}.", correlation_id, headers)
        case ServiceError():
            return error(HTTPStatus(failure.status_code), str(failure.msg), correlation_id)
        case HubSpotFailure() | LedgerUnavailable():
            logger.error("request not taken", error=str(failure))
            message = f"The request was not taken and can be sent again: {failure}."
            return error(HTTPStatus.SERVICE_UNAVAILABLE, message, correlation_id, {"Retry-After": RETRY_SECONDS})
    logger.exception("unexpected failure", exc_info=failure)
    message = "Something unexpected went wrong here; the log holds it under this correlationId."
    return error(HTTPStatus.INTERNAL_SERVER_ERROR, message, correlation_id)


def readable(outcome: Outcome) -> dict[str, Any]:
    """An outcome as the API shows it: what is not known is left out, and HubSpot's body is the JSON that it holds."""
    answer: dict[str, Any] = plain(
        replace(outcome, api_version=None, doubt=None, ordered_as=None, waits=None, parked=None)
    )
    if "hubspot" in answer:
        del answer["hubspot"]["verbatim"]
    if outcome.hubspot and outcome.hubspot.body is not None:
        with suppress(ValueError):  # what is no JSON stays text
            answer["hubspot"]["body"] = json_text.loads(outcome.hubspot.body)
    return answer
