"""A failing call touches only the requests in it, and what is wrong with a portal or its token no other portal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from batch_create.handler import run
from hubspot_api.client import Answer
from ledger.ledger import Ledger
from model.contract import LimitInput
from model.errors import Misconfigured
from model.outcomes import Status
from tests.support.fakes import (
    START,
    Clock,
    FakeHubSpot,
    FakeTokens,
    answer,
    echo,
    failed,
    ports,
    request,
)
from tests.support.ledger import read


@pytest.mark.parametrize(("interactive", "status"), [(True, Status.FAILED), (False, Status.DEFERRED)])
def test_a_refused_token_fails_whoever_waits_and_defers_the_others(
    ledger: Ledger, hubspot: FakeHubSpot, clock: Clock, interactive: bool, status: Status
) -> None:
    hubspot.replies = [failed(401), failed(401)]

    run([request("m-1", (3, 5), interactive=interactive)], 30, ports(ledger, hubspot, clock))

    outcome = read(ledger, "m-1")
    assert outcome.status is status
    assert "tokens/default" in (outcome.reason or "")
    assert hubspot.tokens == ["old", "new"]


def test_a_redirect_is_not_blamed_on_the_token(ledger: Ledger, hubspot: FakeHubSpot, clock: Clock) -> None:
    hubspot.replies = [failed(307, "HubSpot answered 307 without a message")]

    run([request("m-1", (3, 5))], 30, ports(ledger, hubspot, clock))

    assert read(ledger, "m-1").reason == "HubSpot answered 307 without a message"


def test_a_401_is_answered_with_the_secret_fetched_anew(ledger: Ledger, hubspot: FakeHubSpot, clock: Clock) -> None:
    hubspot.replies = [failed(401)]

    run([request("m-1", (3, 5))], 30, ports(ledger, hubspot, clock))

    assert read(ledger, "m-1").status is Status.COMPLETE
    assert hubspot.tokens == ["old", "new"]


def test_a_failing_call_touches_only_the_requests_in_it(ledger: Ledger, hubspot: FakeHubSpot, clock: Clock) -> None:
    hubspot.replies = [failed(429)]
    requests = [request("m-1", (3, 5)), request("m-2", (3, 5), portal="acme")]

    answers = run(requests, 30, ports(ledger, hubspot, clock))

    assert [ran.outcome.status for ran in answers] == [Status.DEFERRED, Status.COMPLETE]
    assert answers[0].outcome.retry_at == START + timedelta(seconds=10)


@pytest.mark.parametrize(("status", "sent"), [(307, 1), (401, 2), (429, 1), (477, 1)])
def test_what_is_true_of_a_portal_stops_every_further_call_for_it_and_for_no_other(
    ledger: Ledger, hubspot: FakeHubSpot, clock: Clock, status: int, sent: int
) -> None:
    hubspot.replies = [failed(status) for _ in range(sent)]
    requests = [
        request("m-1", (3, 5), (4, 5), (5, 5)),
        request("m-2", (3, 5), toObjectType="companies"),
        request("m-3", (3, 5), portal="acme"),
    ]

    answers = run(requests, 30, ports(ledger, hubspot, clock, batch_size=1))

    assert [ran.outcome.status for ran in answers] == [Status.DEFERRED, Status.DEFERRED, Status.COMPLETE]
    assert len(hubspot.created) == sent + 1
    assert answers[1].outcome.reason == answers[0].outcome.reason
    assert [attempt.http_status for attempt in answers[1].outcome.attempts] == []


def test_a_scope_that_one_object_type_lacks_stops_no_other_pair(
    ledger: Ledger, hubspot: FakeHubSpot, clock: Clock
) -> None:
    def forbid_deals(inputs: Sequence[LimitInput]) -> Answer:
        if hubspot.created[-1][0].from_object_type == "deals":
            raise failed(403)
        return answer([echo(item) for item in inputs])

    hubspot.replies = [forbid_deals] * 9
    requests = [request("m-1", (3, 5)), request("m-2", (15, 5), fromObjectType="contacts", toObjectType="tickets")]

    answers = run(requests, 30, ports(ledger, hubspot, clock))

    assert [ran.outcome.status for ran in answers] == [Status.DEFERRED, Status.COMPLETE]
    assert "tokens/default" in (answers[0].outcome.reason or "")


def test_without_a_token_nothing_is_sent_and_it_is_asked_for_once(
    ledger: Ledger, hubspot: FakeHubSpot, clock: Clock
) -> None:
    class NoTokens(FakeTokens):
        asked = 0

        def bearer(self, portal: str, seconds: float, *, fresh: bool = False) -> str:
            self.asked += 1
            raise Misconfigured("there is no secret tokens/default", portal_wide=True)

    tokens = NoTokens()
    work = replace(ports(ledger, hubspot, clock, batch_size=1), tokens=tokens)

    (ran,) = run([request("m-1", (3, 5), (4, 5))], 30, work)

    assert (ran.outcome.status, ran.outcome.reason) == (Status.DEFERRED, "there is no secret tokens/default")
    assert (hubspot.calls, tokens.asked) == ([], 1)
