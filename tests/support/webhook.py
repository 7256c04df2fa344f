"""Calls of the HTTP entry point, each with its status, body and headers."""

from __future__ import annotations

import json
from typing import Any

import webhook
from tests.support.events import Context, api_event

PATH = "/crm/associations/2026-03/definitions/configurations/deals/contacts/batch/create"
BODY = {"inputs": [{"category": "HUBSPOT_DEFINED", "typeId": 3, "maxToObjectIds": 5}]}
Reply = tuple[int, dict[str, Any], dict[str, str]]


def call(event: dict[str, Any]) -> Reply:
    reply = webhook.handler(event, Context())
    headers = {name: values[0] for name, values in reply["multiValueHeaders"].items()}
    assert headers["Content-Type"] == "application/json"
    return reply["statusCode"], json.loads(reply["body"]), headers


def get(path: str, **query: str) -> Reply:
    return call(api_event("GET", path, query=query))


def is_hubspots_error(body: dict[str, Any]) -> bool:
    return body["status"] == "error" and all(body[name] for name in ("message", "correlationId", "category"))
