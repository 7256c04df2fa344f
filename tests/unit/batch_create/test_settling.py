"""What has ended is told in the log and counted, each outcome once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from batch_create.handler import run
from ledger.ledger import Ledger
from model.outcomes import Status
from runtime.telemetry import metrics
from tests.support.fakes import Clock, FakeHubSpot, failed, ports, request


def said(caplog: pytest.LogCaptureFixture, message: str) -> list[Any]:
    """Lines of the log that say something."""
    return [line for line in caplog.records if line.getMessage() == message]


def test_given_outcomes_that_end_alike_the_log_names_all_of_them_in_one_line(
    ledger: Ledger, hubspot: FakeHubSpot, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    run([request(f"m-{number}", (number, 5)) for number in (3, 5, 7)], 30, ports(ledger, hubspot, clock))

    (line,) = said(caplog, "settled")
    assert line.status is Status.COMPLETE
    assert sorted(line.outcome_ids) == ["m-3", "m-5", "m-7"]


def test_given_outcomes_that_end_alike_each_is_counted(
    ledger: Ledger, hubspot: FakeHubSpot, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics.clear_metrics()

    run([request(f"m-{number}", (number, 5)) for number in (3, 5, 7)], 30, ports(ledger, hubspot, clock))

    capsys.readouterr()
    metrics.flush_metrics()
    assert json.loads(capsys.readouterr().out)["OutcomeComplete"] == [3.0]


def test_a_refused_token_is_told_once_for_all_that_wait(
    ledger: Ledger, hubspot: FakeHubSpot, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    hubspot.replies = [failed(401), failed(401)]

    run([request("m-1", (3, 5)), request("m-2", (5, 5))], 30, ports(ledger, hubspot, clock))

    (line,) = said(caplog, "portal misconfigured")
    assert line.portal == "default"
    assert "tokens/default" in line.reason
