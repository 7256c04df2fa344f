"""A call of HubSpot's own route, checked and turned into a request."""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING

from aws_lambda_powertools.event_handler.exceptions import NotFoundError

from batch_create.contract import parse_batch, parse_json
from batch_create.outcomes import Request, Trigger
from batch_create.ports import now, settings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent

    from clients import Client


def batch_request(event: APIGatewayProxyEvent, client: Client, version: str, **path: str) -> Request:
    """The request that a call asks for. `path` holds portal, from_object_type and to_object_type.

    Raises Forbidden, NotFoundError (an API version that the settings do not allow) and ContractError.
    """
    client.require(path["portal"])
    allowed = settings().hubspot_api_versions
    if version not in allowed:
        raise NotFoundError(f"the API version {version} is not one of this deployment's: {', '.join(allowed)}")
    envelope = parse_batch(
        parse_json(_body(event)), settings().portals, **path, idempotency_key=event.headers.get("Idempotency-Key")
    )
    return Request(
        envelope,
        Trigger.WEBHOOK,
        event.request_context.request_id or "",
        now(),
        client=client.name,
        api_version=version,
        interactive=True,
    )


def prefers_async(event: APIGatewayProxyEvent) -> bool:
    """Whether the caller sent `Prefer: respond-async`: a comma separated list whose names know no case (RFC 7240)."""
    return "respond-async" in {name.strip().lower() for name in event.headers.get("Prefer", "").split(",")}


def _body(event: APIGatewayProxyEvent) -> bytes | str:
    body = event.body or ""
    return b64decode(body) if event.is_base64_encoded else body
