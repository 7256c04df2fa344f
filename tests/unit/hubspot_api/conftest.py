"""The HTTP client; `responses` keeps it from sockets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import responses

from hubspot_api.client import HubSpot


@pytest.fixture
def http() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


@pytest.fixture
def hubspot() -> HubSpot:
    return HubSpot("https://hubspot.test")
