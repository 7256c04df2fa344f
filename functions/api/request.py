"""A call of HubSpot's own route, checked and turned into a request."""

from __future__ import annotations

from base64 import b64decode
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from aws_lambda_powertools.event_handler.exceptions import NotFoundError, ServiceError

from model.contract import ContractError, Problem
from model.outcomes import Request, Trigger
from model.validation import parse_batch, parse_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent

    from api.clients import Client
    from hubspot_api.object_types import ObjectTypes
    from tokens.portals import Portals

JSON = "application/json"
ASKING = 5.0  # seconds for HubSpot to tell the ids of types; only a client with a list of types waits for them
MAX_BODY = 256 * 1024  # bytes; the most inputs of the longest numbers take a sixth of it


def batch_request(
    event: APIGatewayProxyEvent,
    client: Client,
    types: ObjectTypes,
    portals: Portals,
    allowed: Sequence[str],
    now: datetime,
    version: str,
    **path: str,
) -> Request:
    """The request that a call asks for. `path` holds portal, from_object_type and to_object_type.

    `allowed` are API versions. Raises Forbidden, NotFoundError (another version, an unknown portal), ServiceError (413,
    415), ContractError and LedgerUnavailable.
    """
    client.require_portal(path["portal"])  # before anything else, so that refusals tell nothing about other portals
    if version not in allowed:
        raise NotFoundError(f"the API version {version} is not one of this deployment's: {', '.join(allowed)}")
    key = client.signed_as or event.headers.get("Idempotency-Key")
    envelope = parse_batch(parse_json(body_of(event)), **path, idempotency_key=key)
    require_known(envelope.portal, portals)
    client.require(envelope.portal, (envelope.from_object_type, envelope.to_object_type), types.asking(ASKING))
    return Request(
        envelope=envelope,
        trigger=Trigger.WEBHOOK,
        own_id=event.request_context.request_id or "",
        requested_at=_requested_at(event, now),
        client=client.name,
        api_version=version,
        interactive=True,
    )


def require_known(portal: str, portals: Portals) -> None:
    """Raise NotFoundError for a portal that is none of this deployment's, or has ended."""
    if portal not in portals:
        raise NotFoundError(f"there is no portal {portal}")


def _requested_at(event: APIGatewayProxyEvent, now: datetime) -> datetime:
    """When API Gateway received a request: its clock orders requests, and not that of one of many functions."""
    received = event.request_context.get("requestTimeEpoch")
    return min(now, datetime.fromtimestamp(received / 1000, UTC)) if received else now


def prefers_async(event: APIGatewayProxyEvent) -> bool:
    """Whether the caller sent `Prefer: respond-async`, in a list separated by commas and without case (RFC 7240)."""
    return "respond-async" in {name.strip().lower() for name in event.headers.get("Prefer", "").split(",")}


def body_of(event: APIGatewayProxyEvent) -> bytes:
    """The body's bytes. Raises ServiceError for too many (413) or another media type (415), and ContractError."""
    media_type = event.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type != JSON:
        raise ServiceError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send the header Content-Type: {JSON}")
    text = event.body or ""
    try:
        body = b64decode(text, validate=True) if event.is_base64_encoded else text.encode()
    except ValueError:
        raise ContractError([Problem("", "the body is not text in UTF-8")]) from None
    if len(body) > MAX_BODY:
        raise ServiceError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the body has {len(body)} bytes; at most {MAX_BODY} are taken: split the request",
        )
    return body
