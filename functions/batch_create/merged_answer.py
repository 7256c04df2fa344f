"""One answer in HubSpot's own shape out of the several calls that one request needed. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic_core import from_json

from hubspot_api.retry_policy import rule
from model.contract import AnswerStatus, EchoedLimit
from model.errors import Refused
from model.outcomes import HubSpotResponse, Outcome, Result, Status, iso

MULTI_STATUS = 207
ANSWERS = (200, 201, MULTI_STATUS)  # to a batch create; any other 2xx is in our words, as a 202 means something here


def merged(said: Sequence[HubSpotResponse]) -> HubSpotResponse | None:
    """What HubSpot said to one request: word for word where it was one answer, and joined where it was several.

    Results and errors follow each other in the order of the calls; a call that was refused becomes one of the `errors`,
    as HubSpot itself reports a refused input inside a 207. The whole is a 207 if anything was refused. A call that
    failed and decided nothing has no part in it; where there is no other, its words stand.
    """
    deciding = [one for one in said if _decides(one)]
    if not deciding:
        return said[-1] if said else None
    if len(deciding) == 1:
        return deciding[0]
    bodies = [(one, _object(one.body)) for one in deciding]
    answers = [body for one, body in bodies if _accepted(one)]
    if not answers:
        return deciding[-1]
    results = [row for body in answers for row in _rows(body, "results")]
    errors: list[Any] = []
    for one, body in bodies:
        errors += _rows(body, "errors") if _accepted(one) else [body or {"message": one.body, "status": "error"}]
    joined: dict[str, Any] = {**answers[-1], "results": results}
    if "startedAt" in answers[0]:
        joined["startedAt"] = answers[0]["startedAt"]
    for name in ("errors", "numErrors"):
        joined.pop(name, None)
    if errors:
        joined |= {"errors": errors, "numErrors": len(errors)}
    return HubSpotResponse(
        http_status=MULTI_STATUS if errors else max(one.http_status or 0 for one in deciding),
        status=joined.get("status") if isinstance(joined.get("status"), str) else None,
        correlation_id=deciding[-1].correlation_id,
        body=json.dumps(joined, ensure_ascii=False),
    )


def without_errors(said: HubSpotResponse, messages: Sequence[str]) -> HubSpotResponse:
    """An answer without the errors that these messages were taken from: what they are about is sent once more."""
    body = _object(said.body)
    errors = body.get("errors")
    if not isinstance(errors, list):
        return said
    for message in messages:
        texts = [error.get("message") if isinstance(error, dict) else None for error in errors]
        found = [n for n, text in enumerate(texts) if isinstance(text, str) and text and message.startswith(text)]
        if found:
            errors.pop(found[0])
    body |= {"errors": errors, "numErrors": len(errors)}
    if not errors:
        del body["errors"], body["numErrors"]
    return said.model_copy(update={"body": json.dumps(body, ensure_ascii=False)})


def _accepted(said: HubSpotResponse) -> bool:
    return said.http_status is not None and 200 <= said.http_status < 300


def _decides(said: HubSpotResponse) -> bool:
    return _accepted(said) or (said.http_status is not None and rule(said.http_status).failure is Refused)


def answers_for(outcome: Outcome) -> bool:
    """Whether HubSpot's own words can answer for an outcome: a refusal of all of it, or an echo of all that is applied.

    They cannot where something was proved by reading back: no answer of HubSpot's was about what then came true. Nor
    where there are none: a page of HTML, nothing at all, or what the ledger had to cut. Nor where they speak of success
    alone, and nothing of it was there when it was read back.
    """
    said = outcome.hubspot or HubSpotResponse()
    body = _object(said.body)
    if not _accepted(said):
        return bool(body) and _refuses(outcome, said)
    failed = any(item.result in (Result.REJECTED, Result.UNCONFIRMED) for item in outcome.inputs)
    if not body or said.http_status not in ANSWERS or (failed and not body.get("errors")):
        return False
    rows = [EchoedLimit.model_validate(row) for row in _rows(body, "results") if isinstance(row, dict)]
    echoed = {(row.category, row.type_id): row.user_enforced_max_to_object_ids for row in rows}
    applied = [item for item in outcome.inputs if item.result is Result.APPLIED]
    return all(echoed.get(item.key) == item.max_to_object_ids for item in applied)


def _refuses(outcome: Outcome, said: HubSpotResponse) -> bool:
    return outcome.status is Status.REJECTED and not _accepted(said) and _decides(said)


def _rows(body: dict[str, Any], name: str) -> list[Any]:
    """A list of an answer's, as HubSpot has it; none where something else stands in its place."""
    rows = body.get(name)
    return rows if isinstance(rows, list) else []


def _object(text: str | None) -> dict[str, Any]:
    try:
        value = from_json(text or "", allow_inf_nan=False)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def in_hubspots_words(outcome: Outcome) -> tuple[int, dict[str, Any]]:
    """The status and body that HubSpot gives for what became of an outcome's inputs. Only what is applied is echoed."""
    said = outcome.hubspot
    if said and said.http_status and _refuses(outcome, said):
        return said.http_status, {
            "status": "error",
            "category": "VALIDATION_ERROR",
            "message": outcome.inputs[0].message,
            "correlationId": said.correlation_id or outcome.id,
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
    errors = [
        {
            "status": "error",
            "category": "VALIDATION_ERROR" if item.result is Result.REJECTED else item.result.value,
            "message": item.message or f"superseded by outcome {item.superseded_by}",
            "context": {"category": [item.category.value], "typeId": [str(item.type_id)]},
        }
        for item in outcome.inputs
        if item not in done
    ]
    if errors:
        body |= {"errors": errors, "numErrors": len(errors)}
    return (MULTI_STATUS if errors else 200), body
