"""Calls of the HTTP client, and why they failed."""

from __future__ import annotations

from typing import Any

import pytest

from hubspot_api.client import HubSpot
from model.contract import Category, LimitInput
from model.errors import HubSpotFailure
from model.pair import Address

PAIR = Address("2026-03", "deals", "contacts")
READ = "https://hubspot.test/crm/associations/2026-03/definitions/configurations/deals/contacts"
CREATE = f"{READ}/batch/create"
LIMIT = LimitInput(category=Category.HUBSPOT_DEFINED, type_id=3, max_to_object_ids=5)
TOKEN = "pat-eu1-0123456789"


def create(hubspot: HubSpot, seconds: float = 30) -> Any:
    return hubspot.batch_create(TOKEN, PAIR, [LIMIT], seconds)


def failure(hubspot: HubSpot) -> HubSpotFailure:
    with pytest.raises(HubSpotFailure) as caught:
        create(hubspot)
    return caught.value
