"""The ledger's writes of many items at once, by an emulator's PartiQL that none of us wrote."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from aws.dynamodb import Table
from ledger.claim import ClaimStatus
from ledger.leases import Lease, Wanted
from ledger.ledger import Ledger
from ledger.register import Applied
from model.outcomes import Doubt, HubSpotResponse, Status
from model.pair import Pair
from model.records import milliseconds
from tests.e2e.deployed import LocalStack
from tests.support.fakes import key, leases, request

MINUTE = timedelta(minutes=1)


def test_claims_and_settlements_of_many_are_made_for_those_they_may_be_made_for(local: LocalStack) -> None:
    ledger = Ledger(Table(local.aws("dynamodb"), local["outcomesTable"]), timedelta(days=1))
    now, run = datetime.now(UTC), uuid4().hex
    lease = now + MINUTE
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


def test_a_request_and_its_pair_are_taken_in_one_write_and_settled_and_given_back_in_one(local: LocalStack) -> None:
    table = Table(local.aws("dynamodb"), local["outcomesTable"])
    ledger, pairs = Ledger(table, timedelta(days=1)), leases(table)
    now, run = datetime.now(UTC), uuid4().hex
    wanted = Wanted(f"portal-{run}", Pair("0-3", "0-1"))
    first, second, third = (request(f"{run}-{n}", (3, 5), at=now) for n in range(3))

    # The first makes the pair's item, with a register that knows nothing.
    claim, lease = ledger.claim_and_take(first, wanted, pairs, "one", now, now + MINUTE)
    assert claim
    assert isinstance(lease, Lease)
    assert lease.register.last == {}
    # Who comes meanwhile gets the request and not its pair.
    claimed, denied = ledger.claim_and_take(second, wanted, pairs, "two", now, now + MINUTE)
    assert claimed
    assert denied is None
    pairs.wait_for(wanted, second.id, claimed.fence)

    applied = Applied((milliseconds(now), first.id), first.id, 5, milliseconds(now), milliseconds(now))
    lease.register.apply(key(3), applied)
    done = replace(claim.outcome, status=Status.COMPLETE, finished_at=now.replace(microsecond=0))
    assert ledger.settle_many([(done, claim.fence)], [pairs.giving_back(lease, now)]) == [True, True]

    # The next one gets the register and what waits with the pair, in the answer to its write.
    _, given = ledger.claim_and_take(third, wanted, pairs, "three", now, now + MINUTE)
    assert isinstance(given, Lease)
    assert given.register.last == {key(3): applied}
    assert given.waiting == ((second.id, 1),)
    assert given.orphans == ()
    adoption = ledger.adopt(given, pairs.naming(given, [second.id]), now)
    assert [each.outcome.id for each in adoption.claims] == [second.id]
    assert adoption.named
    # And who comes too late gives nothing back.
    assert not pairs.give_back(lease, now)


def test_pairs_that_nobody_holds_are_taken_together_and_those_of_a_dead_holder_with_what_it_left(
    local: LocalStack,
) -> None:
    table = Table(local.aws("dynamodb"), local["outcomesTable"])
    pairs = leases(table)
    now, portal = datetime.now(UTC), f"portal-{uuid4().hex}"
    free, dead, held, new = (Wanted(portal, Pair(f"2-{n}", "0-1"), (f"o-{n}",)) for n in range(1, 5))
    (lease,) = pairs.take_many([free], "one", now, now + MINUTE)
    assert isinstance(lease, Lease)
    assert pairs.give_back(lease, now)
    pairs.take_many([dead], "one", now, now + timedelta(seconds=1))
    pairs.take_many([held], "one", now, now + MINUTE)
    later = now + timedelta(seconds=2)
    again = [replace(each, outcome_ids=("mine",)) for each in (free, dead, held, new)]

    taken = pairs.take_many(again, "two", later, later + MINUTE)

    held_now = [each for each in taken if isinstance(each, Lease)]
    assert [each is not None for each in taken] == [True, True, False, True]
    assert [each.orphans for each in held_now] == [(), ("o-2",), ()]
    # The same holder's write, whose answer was lost, is its own.
    assert pairs.take_many(again[:2], "two", later, later + MINUTE)[0] is not None
