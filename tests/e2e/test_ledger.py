"""The ledger's writes of many outcomes at once, by an emulator's PartiQL that none of us wrote."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from aws.dynamodb import Table
from ledger.claim import ClaimStatus
from ledger.ledger import Ledger
from model.outcomes import Doubt, HubSpotResponse, Status
from tests.e2e.deployed import LocalStack
from tests.support.fakes import request


def test_claims_and_settlements_of_many_are_made_for_those_they_may_be_made_for(local: LocalStack) -> None:
    ledger = Ledger(Table(local.aws("dynamodb"), local["outcomesTable"]), timedelta(days=1))
    now, run = datetime.now(UTC), uuid4().hex
    lease = now + timedelta(minutes=1)
    asked = [replace(request(f"{run}-{n}", (3, 5), (4, 6), at=now), doubt=Doubt(since=now)) for n in range(25)]
    alone = ledger.claim(asked[0], "worker", now, lease)

    claims = ledger.claim_new(asked, "worker", now, lease)

    assert alone.claim_status is ClaimStatus.CLAIMED
    assert [claim is not None for claim in claims] == [False] + [True] * 24
    assert [ledger.get(each.id) for each in asked[1:]] == [claim.outcome for claim in claims if claim]

    told: dict[str, Any] = {
        "status": Status.PARTIAL,
        "finished_at": now.replace(microsecond=0),
        "hubspot": HubSpotResponse(http_status=207, body='{"message": "it\'s \\"refused\\"?"}'),
        "doubt": None,
    }
    outcomes = [replace(claim.outcome, **told) for claim in claims if claim]
    fences = [1 if place % 2 else 2 for place in range(24)]  # 2 is none that anybody has

    assert ledger.settle_many(list(zip(outcomes, fences, strict=True))) == [fence == 1 for fence in fences]
    assert [ledger.get(outcome.id) == outcome for outcome in outcomes] == [fence == 1 for fence in fences]
    for outcome, fence in zip(outcomes, fences, strict=True):
        if fence == 2:
            ledger.settle(outcome, 1)  # nothing of it was written: it is still ours
