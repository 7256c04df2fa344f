"""Portals added and ended by `make portal` while the deployed stack runs."""

from __future__ import annotations

import os
import subprocess
import sys
from uuid import uuid4

import requests

from local.processes import ROOT
from tests.e2e.deployed import LocalStack, until

LIMIT = {"category": "HUBSPOT_DEFINED", "typeId": 279, "maxToObjectIds": 7}
PAIR = "/crm/associations/2026-03/definitions/configurations/contacts/companies/batch/create"


def make_portal(*arguments: str) -> str:
    """What `make portal` prints."""
    command = [sys.executable, "-m", "local.portal", *arguments]
    environment = os.environ | {"PYTHONPATH": "functions"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def create(local: LocalStack, portal: str) -> requests.Response:
    return local.call("POST", f"/portals/{portal}{PAIR}", json={"inputs": [LIMIT]})


def test_a_portal_that_is_added_at_run_time_takes_requests_by_every_way(local: LocalStack) -> None:
    portal = f"p-{uuid4().hex[:8]}"
    assert create(local, portal).status_code == 404

    assert make_portal(portal) == f"portal: in the local stack, {portal} takes requests within 30 seconds"
    until(lambda: create(local, portal).status_code == 201 or None, "the new portal to take a request")
    request = {"portal": portal, "fromObjectType": "contacts", "toObjectType": "companies", "inputs": [LIMIT]}
    assert local.final(local.send(request))["status"] == "COMPLETE"


def test_a_portal_that_has_ended_takes_nothing_and_its_messages_fail(local: LocalStack) -> None:
    portal = f"p-{uuid4().hex[:8]}"
    make_portal(portal)
    make_portal(portal, "--end")

    assert create(local, portal).status_code == 404
    request = {"portal": portal, "fromObjectType": "contacts", "toObjectType": "companies", "inputs": [LIMIT]}
    outcome = local.final(local.send(request))
    assert outcome["status"] == "FAILED"
    assert "has been ended" in outcome["reason"]
