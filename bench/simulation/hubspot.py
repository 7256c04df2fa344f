"""What HubSpot answers, and when."""

from __future__ import annotations

from datetime import UTC, timedelta

from bench.simulation.model import Model
from bench.simulation.portals import START, Fault, Portal
from hubspot_api.client import CONNECT_TIMEOUT, LONGEST_READ
from hubspot_api.retry_policy import not_before, rule
from model.errors import HubSpotFailure, Unavailable, Uncertain

SPREAD = 0.3  # of the logarithm of the time that an answer takes


def answer(portal: Portal, now: float, deadline: float, model: Model) -> tuple[float, HubSpotFailure | None]:
    """When a call that begins now has its answer, and the failure that it means, if it means one."""
    left = deadline - now - CONNECT_TIMEOUT
    if left <= 0:
        return now, Unavailable("no time was left")
    portal.calls += 1
    if portal.fault is Fault.DOWN:
        return now + min(LONGEST_READ, left), Uncertain("no answer")
    now += model.durations.hubspot * model.random.lognormvariate(0, SPREAD)
    if portal.fault is Fault.TOKEN:
        return now, _failure(401)
    if portal.fault is Fault.DAILY:
        failure = _failure(429, daily=True)
        reset = not_before(failure, 1, START + timedelta(seconds=now), UTC, 0)
        portal.stopped_until = (reset - START).total_seconds()
        return now, failure
    return now, _failure(503) if model.random.random() < model.calls_5xx else None


def _failure(status: int, *, daily: bool = False) -> HubSpotFailure:
    asked = rule(status)
    return asked.failure(
        f"HubSpot answered {status}",
        http_status=status,
        retry_after=asked.floor or None,
        daily=daily,
        portal_wide=asked.portal_wide,
    )
