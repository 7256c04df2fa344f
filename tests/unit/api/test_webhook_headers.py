"""Every answer has the headers that keep it safe in a browser, and names no origin but the one of the settings."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.aws import Deployment
from tests.support.events import api_event
from tests.support.webhook import BODY, PATH, call


@pytest.mark.parametrize("authorization", ["Bearer crm-key", "Bearer unknown"])
@pytest.mark.parametrize(("method", "path"), [("POST", PATH), ("GET", "/outcomes"), ("GET", "/nowhere")])
def test_every_answer_forbids_to_keep_it_to_guess_its_type_and_to_ask_in_clear(
    functions: Deployment, authorization: str, method: str, path: str
) -> None:
    _, _, headers = call(api_event(method, path, body=BODY, Authorization=authorization))

    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Strict-Transport-Security"].startswith("max-age=31536000")
    assert not [name for name in headers if name.lower().startswith("access-control-")]


@pytest.mark.parametrize(
    "event",
    [
        api_event("POST", PATH, body=BODY),
        api_event("POST", PATH, body="{"),
        api_event("GET", "/outcomes", Authorization=None),
        api_event("GET", "/nowhere"),
    ],
)
@pytest.mark.parametrize("origin", ["", "https://admin.example.com"])
def test_every_answer_names_the_origin_of_the_settings_and_no_other(
    functions: Deployment, monkeypatch: pytest.MonkeyPatch, event: dict[str, Any], origin: str
) -> None:
    monkeypatch.setenv("CORS_ORIGIN", origin)

    _, _, headers = call(event | {"headers": {**event["headers"], "Origin": "https://elsewhere.example.com"}})

    assert headers.get("Access-Control-Allow-Origin", "") == origin
    assert ("Outcome-Id" in headers.get("Access-Control-Expose-Headers", "")) == bool(origin)
    assert headers["Cache-Control"] == "no-store"
