"""A function's environment is checked at once and as a whole."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from runtime.settings import SettingsError, load

RIGHT = {
    "HUBSPOT_BASE_URL": "https://api.hubapi.com/",
    "HUBSPOT_API_VERSIONS": "2026-03, 2026-09",
    "PORTALS": "default,acme",
    "TOKEN_SECRET_PREFIX": "p",
    "OUTCOMES_TABLE": "outcomes",
    "ACCESS_TOKENS_TABLE": "tokens",
    "OUTCOME_RETENTION_DAYS": "400",
    "BATCH_SIZE": "100",
    "QUOTA_CALLS": "100",
    "HEAD_ROOM": "0.03",
    "QUEUE_URL": "https://sqs.test/1/q",
    "PATH": "/usr/bin",
}


def test_the_environment_is_read_as_typed_values() -> None:
    settings = load(RIGHT)

    assert settings.hubspot_base_url == "https://api.hubapi.com"
    assert settings.hubspot_api_versions == ("2026-03", "2026-09")
    assert settings.portals == ("default", "acme")
    assert (settings.outcome_retention_days, settings.batch_size) == (400, 100)


def test_everything_wrong_is_told_together() -> None:
    wrong = {
        **RIGHT,
        "HUBSPOT_BASE_URL": "http://api.hubapi.com",
        "HUBSPOT_API_VERSIONS": "v4",
        "PORTALS": "",
        "BATCH_SIZE": "0",
    }
    del wrong["QUEUE_URL"]

    with pytest.raises(SettingsError) as caught:
        load(wrong)

    for name in ("HUBSPOT_BASE_URL", "HUBSPOT_API_VERSIONS", "PORTALS", "BATCH_SIZE", "QUEUE_URL"):
        assert name in str(caught.value)
    assert "OUTCOMES_TABLE" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://localhost:1", "https://hubspot.test"])
def test_plain_http_is_for_loopback_only(url: str) -> None:
    assert load({**RIGHT, "HUBSPOT_BASE_URL": url}).hubspot_base_url == url


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OUTCOME_RETENTION_DAYS", "14"),
        ("OUTCOME_RETENTION_DAYS", "9999999"),
        ("HUBSPOT_BASE_URL", "https://hubspot.test/?a=b"),
        ("HUBSPOT_BASE_URL", "https://hubspot.test/#a"),
        ("HUBSPOT_API_VERSIONS", "2026-13"),
    ],
)
def test_what_would_break_every_request_is_refused_at_the_first_event(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        load({**RIGHT, name: value})


def test_a_portal_has_the_time_zone_that_is_set_for_it_and_else_none() -> None:
    settings = load({**RIGHT, "PORTAL_TIME_ZONES": "acme=America/New_York, default=Europe/Berlin"})

    assert settings.zone("acme") == ZoneInfo("America/New_York")
    assert settings.zone("default") == ZoneInfo("Europe/Berlin")
    others = [settings.zone("other"), load(RIGHT).zone("acme"), load({**RIGHT, "PORTAL_TIME_ZONES": ""}).zone("x")]
    assert others == [None] * 3


@pytest.mark.parametrize("zones", ["acme", "acme=", "acme=Mars/Base", "acme=../etc/passwd", "acme=/etc/localtime"])
def test_a_time_zone_that_is_none_is_told_with_the_rest(zones: str) -> None:
    with pytest.raises(
        SettingsError, match=r"PORTAL_TIME_ZONES: .*portal=Area/City.*; .*BATCH_SIZE|BATCH_SIZE.*PORTAL_"
    ):
        load({**RIGHT, "PORTAL_TIME_ZONES": zones, "BATCH_SIZE": "0"})
