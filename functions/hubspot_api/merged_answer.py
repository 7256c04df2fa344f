"""HubSpot's answer to one request, made of its answers to the calls that the request needed. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hubspot_api.retry_policy import rule
from model.errors import Refused
from model.hubspot_answer import json_object
from model.outcomes import HubSpotResponse

MULTI_STATUS = 207


def merged(responses: Sequence[HubSpotResponse]) -> HubSpotResponse | None:
    """HubSpot's answer: as it is where there was one, and joined where there were several.

    Results and errors follow each other in the order of the calls. A refused call becomes one of the `errors`, as
    HubSpot itself reports a refused input inside a 207. The whole is a 207 if anything was refused. A call that failed
    and decided nothing is left out, unless there is no other.
    """
    if not responses:
        return None
    deciding = [one for one in responses if decides(one)]
    accepted = [one for one in deciding if is_2xx(one)]
    if len(deciding) < 2 or not accepted:
        return (deciding or responses)[-1]
    results: list[Any] = []
    errors: list[Any] = []
    joined: dict[str, Any] = {}
    for one in deciding:
        body = json_object(one.body) or {}
        if is_2xx(one):
            results += _rows(body, "results")
            errors += _rows(body, "errors")
            joined = body | {name: joined[name] for name in ("startedAt",) if name in joined}
        else:
            errors.append(body or {"message": one.body, "status": "error"})
    joined |= {"results": results, "errors": errors, "numErrors": len(errors)}
    if not errors:
        del joined["errors"], joined["numErrors"]
    return HubSpotResponse(
        http_status=MULTI_STATUS if errors else max(one.http_status or 0 for one in deciding),
        status=joined.get("status") if isinstance(joined.get("status"), str) else None,
        correlation_id=deciding[-1].correlation_id,
        body=json.dumps(joined, ensure_ascii=False),
    )


def decides(response: HubSpotResponse) -> bool:
    """Whether an answer decides inputs: a 2xx, or a refusal."""
    status = response.http_status
    return is_2xx(response) or (status is not None and rule(status).failure is Refused)


def is_2xx(response: HubSpotResponse) -> bool:
    return response.http_status is not None and 200 <= response.http_status < 300


def _rows(body: dict[str, Any], name: str) -> list[Any]:
    """A list in an answer, or none where something else stands in its place."""
    rows = body.get(name)
    return rows if isinstance(rows, list) else []
