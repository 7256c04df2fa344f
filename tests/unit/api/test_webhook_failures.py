"""Where nothing can be done, the answer says so in HubSpot's shape and shows nothing of the inside."""

from __future__ import annotations

import json

import pytest

import production
import webhook
from ledger.ledger import Ledger
from model.errors import LedgerUnavailable
from tests.support.aws import Deployment
from tests.support.events import api_event
from tests.support.fakes import FakeHubSpot
from tests.support.webhook import BODY, PATH, call, get, is_hubspots_error


def test_without_the_ledger_nothing_is_taken_and_it_can_be_sent_again(
    functions: Deployment, hubspot: FakeHubSpot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise LedgerUnavailable("throttled")

    for claim in ("claim", "claim_new", "claim_and_take"):
        monkeypatch.setattr(Ledger, claim, unreachable)

    status, error, headers = call(api_event("POST", PATH, body=BODY))

    assert (status, headers["Retry-After"]) == (503, "30")
    assert is_hubspots_error(error)
    assert hubspot.calls == []


def test_an_unknown_route_is_404_in_hubspots_shape(functions: Deployment) -> None:
    status, error, _ = get("/crm/objects")

    assert status == 404
    assert is_hubspots_error(error)


def test_an_unforeseen_failure_is_a_500_without_its_details(
    functions: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode() -> object:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(webhook, "production", explode)

    status, error, _ = call(api_event("POST", PATH, body=BODY))

    assert status == 500
    assert is_hubspots_error(error)
    assert "secret detail" not in json.dumps(error)


def test_without_settings_the_function_says_which_are_missing(
    functions: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OUTCOMES_TABLE")
    monkeypatch.setenv("BATCH_SIZE", "many")
    production.settings.cache_clear()

    with pytest.raises(Exception, match=r"OUTCOMES_TABLE.*BATCH_SIZE|BATCH_SIZE.*OUTCOMES_TABLE"):
        production.settings()
