"""Calls of the webhook, as the events that API Gateway makes of them."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

KEY = "client-key"  # of tests/simulation/scenario.py


def event(
    method: str, path: str, sent: dict[str, str], query: dict[str, str] | None, body: str | None, *, base64: bool
) -> dict[str, Any]:
    """What API Gateway makes of a call."""
    if base64 and body is not None:
        body = b64encode(body.encode(errors="replace")).decode()
    return {
        "httpMethod": method,
        "path": path,
        "headers": sent,
        "multiValueHeaders": {name: [value] for name, value in sent.items()},
        "queryStringParameters": query,
        "multiValueQueryStringParameters": query and {name: [value] for name, value in query.items()},
        "requestContext": {
            "requestId": "request",
            "stage": "v1",
            "path": f"/v1{path}",
            "domainName": "api.example.com",
        },
        "body": body,
        "isBase64Encoded": base64,
    }


def let_in(made: dict[str, Any]) -> dict[str, Any]:
    """The same by a caller who is let in, so that what lies behind is reached."""
    sent = made["headers"] | {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    return made | {"headers": sent, "multiValueHeaders": {name: [value] for name, value in sent.items()}}


def known(method: str, path: str, body: str | None = None) -> dict[str, Any]:
    """A plain call by a caller who is let in."""
    return let_in(event(method, path, {}, None, body, base64=False))


def after(outcome_id: str) -> list[tuple[str, str]]:
    """What somebody asks who has got an outcome: method and path."""
    one = f"/outcomes/{outcome_id}"
    return [("POST", f"{one}/replay"), ("GET", one), ("GET", "/outcomes")]
