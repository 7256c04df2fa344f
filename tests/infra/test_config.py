"""Settings and files that cannot be deployed are refused at synth, all at once and with what to write instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra.checks import names
from infra.config import ConfigurationError, Settings, parse_settings
from infra.limits import load_scheduled_requests
from tests.infra.template import SETTINGS

FILE = """
schedule: rate(1 day)
request:
  fromObjectType: deals
  toObjectType: contacts
  inputs: [{category: HUBSPOT_DEFINED, typeId: 3, maxToObjectIds: 5}]
"""


def problems_of(context: object) -> list[str]:
    with pytest.raises(ConfigurationError) as refused:
        parse_settings(context)
    return refused.value.problems


def test_cdk_json_names_every_setting_with_its_default_but_for_the_schedules() -> None:
    settings = parse_settings({**SETTINGS, "schedules": []})

    assert settings == Settings()
    assert set(SETTINGS) == set(names(Settings))


def test_settings_from_the_command_line_are_json_text() -> None:
    assert parse_settings('{"portals": ["acme"], "consumer": {"maxReceives": 7}}').consumer.max_receives == 7


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080", "http://localhost:1", "http://[::1]:9", "https://example.com/x"]
)
def test_plain_http_is_for_this_machine_only(url: str) -> None:
    assert parse_settings({"hubspotBaseUrl": url}).hubspot_base_url == url


@pytest.mark.parametrize(
    ("setting", "value", "where", "advice"),
    [
        ("stackName", "1st", "settings.stackName", "must match"),
        ("stackName", "a" * 65, "settings.stackName", "must match"),
        ("hubspotBaseUrl", "http://api.hubapi.com", "settings.hubspotBaseUrl", "must be an https URL"),
        ("hubspotBaseUrl", "https://", "settings.hubspotBaseUrl", "must be an https URL"),
        ("hubspotBaseUrl", "http://127.0.0.1.example.com", "settings.hubspotBaseUrl", "must be an https URL"),
        ("apiVersions", [], "settings.apiVersions", "must name at least one"),
        ("apiVersions", ["v4"], "settings.apiVersions.0", "must match"),
        ("apiVersions", "2026-03", "settings.apiVersions", "must be a list"),
        ("portals", [], "settings.portals", "must name at least one"),
        ("portals", ["Acme"], "settings.portals.0", "must match"),
        ("portals", ["-acme"], "settings.portals.0", "must match"),
        ("portals", ["a" * 64], "settings.portals.0", "must match"),
        ("portals", ["acme", "acme"], "settings.portals", "repeated: acme"),
        ("portals", [f"p{n}" for n in range(51)], "settings.portals", "must name at most 50, not 51"),
        ("timeZones", ["Europe/Berlin"], "settings.timeZones", "must be an object"),
        ("timeZones", {"default": 1}, "settings.timeZones.default", "must be text"),
        ("timeZones", {"default": "Mars/Olympus"}, "settings.timeZones.default", "use an IANA name such as Europe/Ber"),
        ("timeZones", {"default": "+02:00"}, "settings.timeZones.default", "is not a time zone; use an IANA name"),
        ("timeZones", {"acme": "UTC"}, "settings.timeZones.acme", "one of settings.portals (default), not"),
        ("secretPrefix", "ends/", "settings.secretPrefix", "must match"),
        ("secretPrefix", "", "settings.secretPrefix", "must match"),
        (
            "secretPrefix",
            "HubSpotAssociationLimits",
            "settings",
            "/clients, which holds the API's clients, would be one",
        ),
        ("outcomeRetentionDays", 14, "settings.outcomeRetentionDays", "must be at least 15, not 14"),
        ("outcomeRetentionDays", 3651, "settings.outcomeRetentionDays", "must be at most 3650, not 3651"),
        ("outcomeRetentionDays", 10**12, "settings.outcomeRetentionDays", "must be at most 3650, not 1000000000000"),
        ("hubspotBaseUrl", "https://api.hubapi.com/?portal=1", "settings.hubspotBaseUrl", "must have no query"),
        ("hubspotBaseUrl", "https://api.hubapi.com/#x", "settings.hubspotBaseUrl", "must have no query"),
        ("hubspotBaseUrl", "https://api.hubapi.com/?", "settings.hubspotBaseUrl", "must have no query"),
        ("apiVersions", ["2026-99"], "settings.apiVersions.0", "must match"),
        ("apiVersions", ["2026-00"], "settings.apiVersions.0", "must match"),
        ("giveUpAfterHours", 0, "settings.giveUpAfterHours", "must be at least 1, not 0"),
        ("missingSecretHours", 0, "settings.missingSecretHours", "must be at least 1, not 0"),
        ("missingSecretHours", 337, "settings.missingSecretHours", "must be at most 336, not 337"),
        ("giveUpAfterHours", 337, "settings.giveUpAfterHours", "must be at most 336, not 337"),
        ("outcomeRetentionDays", "400", "settings.outcomeRetentionDays", "must be a whole number, without quotes"),
        ("logRetentionDays", 91, "settings.logRetentionDays", "CloudWatch Logs accepts: 1, 3, 5, 7"),
        ("deletionProtection", "no", "settings.deletionProtection", "must be true or false, without quotes"),
        ("publicUrl", "http://limits.example.com", "settings.publicUrl", "must be an https URL"),
        ("publicUrl", "https://limits.example.com?a=b", "settings.publicUrl", "must have no query"),
        ("alarmEmail", "ops", "settings.alarmEmail", "must be one e-mail address"),
        ("throttle", {"ratePerSecond": 0}, "settings.throttle.ratePerSecond", "must be more than 0"),
        ("throttle", {"burst": 5001}, "settings.throttle.burst", "must be at most 5000"),
        ("throttle", 20, "settings.throttle", "must be an object"),
        ("batchSize", 0, "settings.batchSize", "must be at least 1"),
        ("consumer", {"maximumConcurrency": 1}, "settings.consumer.maximumConcurrency", "must be at least 2"),
        ("consumer", {"timeoutSeconds": 901}, "settings.consumer.timeoutSeconds", "must be at most 900"),
        (
            "consumer",
            {"messagesPerInvocation": 11, "batchWindowSeconds": 0},
            "settings.consumer",
            "needs batchWindowSeconds",
        ),
        ("consumer", {"maxRecieves": 3}, "settings.consumer.maxRecieves", "did you mean maxReceives?"),
        ("memoryMiB", 64, "settings.memoryMiB", "must be at least 128"),
        ("architecture", "arm", "settings.architecture", "must be 'arm64' or 'x86_64'"),
        ("bundling", "docker", "settings.bundling", "must be 'lambda' or 'host'"),
        ("logLevel", "WARN", "settings.logLevel", "must be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("portal", ["acme"], "settings.portal", "did you mean portals?"),
        ("zzz", 1, "settings.zzz", "known are stackName"),
        ("log_level", "INFO", "settings.log_level", "did you mean logLevel?"),
    ],
)
def test_a_wrong_setting_is_explained(setting: str, value: Any, where: str, advice: str) -> None:
    (problem,) = problems_of({setting: value})

    assert problem.startswith(f"{where}: ")
    assert advice in problem


def test_all_wrong_settings_are_reported_together() -> None:
    problems = problems_of({"portals": ["A", "b"], "batchSize": "x", "logLvl": "INFO", "consumer": {"maxReceives": 0}})

    assert [problem.partition(":")[0] for problem in problems] == [
        "settings.portals.0",
        "settings.batchSize",
        "settings.consumer.maxReceives",
        "settings.logLvl",
    ]


@pytest.mark.parametrize(("hours", "least"), [(240, 24), (1, 15), (336, 28)])
def test_an_outcome_is_kept_for_longer_than_its_last_message(hours: int, least: int) -> None:
    (problem,) = problems_of({"giveUpAfterHours": hours, "outcomeRetentionDays": least - 1})

    assert f"at least {least}" in problem
    parse_settings({"giveUpAfterHours": hours, "outcomeRetentionDays": least})


def test_a_time_zone_is_of_a_portal() -> None:
    settings = parse_settings({"portals": ["acme", "globex"], "timeZones": {"globex": "America/New_York"}})

    assert settings.time_zones == {"globex": "America/New_York"}


def test_all_wrong_time_zones_are_reported_together_with_what_else_is_wrong() -> None:
    zones = {"acme": "Berlin", "globex": "UTC", "initech": "UTC"}

    problems = problems_of({"portals": ["acme"], "timeZones": zones, "batchSize": 0})

    assert problems == [
        'settings.timeZones.acme: is not a time zone; use an IANA name such as Europe/Berlin, not "Berlin"',
        'settings.timeZones.globex: must be named after one of settings.portals (acme), not "globex"',
        'settings.timeZones.initech: must be named after one of settings.portals (acme), not "initech"',
        "settings.batchSize: must be at least 1, not 0",
    ]


def test_time_zones_of_wrong_portals_are_not_reported_twice() -> None:
    (problem,) = problems_of({"portals": ["Acme"], "timeZones": {"Acme": "UTC"}})

    assert problem.startswith("settings.portals.0: must match")


def test_portals_and_time_zones_that_no_function_could_be_told_are_refused() -> None:
    portals = [f"p{number:02}" + "x" * 30 for number in range(50)]

    (problem,) = problems_of({"portals": portals, "timeZones": dict.fromkeys(portals, "Europe/Berlin")})

    assert problem.startswith("settings: portals and timeZones are 4099 characters together; must be at most 2800")
    assert parse_settings({"portals": portals})


@pytest.mark.parametrize(
    ("context", "advice"),
    [(None, "missing"), ("{", "is not valid JSON"), ("[]", "must be an object"), ([1], "must be an object")],
)
def test_settings_that_are_none_are_explained(context: object, advice: str) -> None:
    (problem,) = problems_of(context)

    assert problem.startswith("settings")
    assert advice in problem


def load(folder: Path, **files: str) -> list[str]:
    """The problems of these files, by their names without `.yaml`."""
    for name, content in files.items():
        (folder / f"{name}.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError) as refused:
        load_scheduled_requests(folder, [f"{name}.yaml" for name in files])
    return refused.value.problems


def test_a_file_gives_one_request_named_after_it(tmp_path: Path) -> None:
    (tmp_path / "deals.yaml").write_text(FILE, encoding="utf-8")

    (request,) = load_scheduled_requests(tmp_path, ["deals.yaml"])

    assert (request.name, request.expression, request.timezone) == ("deals", "rate(1 day)", None)
    assert request.enabled
    assert request.envelope.portal == "default"
    assert request.envelope.inputs[0].max_to_object_ids == 5


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.yaml: there is no such file; correct settings\.schedules"):
        load_scheduled_requests(tmp_path, ["nowhere.yaml"])


@pytest.mark.parametrize(
    ("wrong", "right", "advice"),
    [
        ("a: [", None, "is not valid YAML"),
        ("- a", None, "must hold `schedule` and `request`"),
        ("name: x", None, "schedule: is required"),
        ("typeId: three", "typeId: 3", "request.inputs[0].typeId: must be a whole number"),
        ("typeID: 3", "typeId: 3", "request.inputs[0].typeID: is not a field of this request"),
        ("toObjectType: ../x", "toObjectType: contacts", "request.toObjectType: must match"),
        ("request:\n  portal: Globex", "request:", "request.portal: must match"),
        ("request:\n  idempotencyKey: k", "request:", "request.idempotencyKey: leave it out"),
        ("timezone: Mars/Olympus\nrequest:", "request:", "timezone: is not a time zone"),
        ("when: now\nrequest:", "request:", "when: is not a key of such a file"),
        ("name: a name\nrequest:", "request:", "name: "),
        ("enabled: later\nrequest:", "request:", "enabled: "),
    ],
)
def test_a_wrong_file_is_explained(tmp_path: Path, wrong: str, right: str | None, advice: str) -> None:
    content = FILE.replace(right, wrong) if right else wrong

    problems = load(tmp_path, deals=content)

    assert any(problem.startswith(f"{tmp_path.name}/deals.yaml: {advice}") for problem in problems), problems


@pytest.mark.parametrize(
    "expression",
    [
        "rate(1 day)",
        "rate(30 minutes)",
        "at(2027-01-31T03:00:00)",
        "cron(0 3 * * ? *)",
        "cron(0/15 8-18 ? * MON-FRI *)",
        "cron(0 3 L * ? *)",
        "cron(5,35 0 ? JAN,JUL 2#1 2027-2030)",
    ],
)
def test_an_expression_of_eventbridge_scheduler_is_taken(tmp_path: Path, expression: str) -> None:
    (tmp_path / "deals.yaml").write_text(FILE.replace("rate(1 day)", expression), encoding="utf-8")

    (request,) = load_scheduled_requests(tmp_path, ["deals.yaml"])

    assert request.expression == expression


@pytest.mark.parametrize(
    ("expression", "advice"),
    [
        ("daily", "must be rate(…), cron(…) or at(…)"),
        ("cron(0 3 * * ? *", "must be rate(…), cron(…) or at(…)"),
        ("rate(1 days)", "must be such as rate(1 day)"),
        ("rate(5 minute)", "must be such as rate(1 day)"),
        ("rate(0 days)", "must be such as rate(1 day)"),
        ("rate(1 week)", "must be such as rate(1 day)"),
        ("at(2027-02-30T03:00:00)", "must be such as at("),
        ("at(2027-01-31T03:00:00Z)", "must be such as at("),
        ("cron(0 3 * * *)", "has 5 cron fields; must be six"),
        ("cron(0 3 * * * *)", "must have ? in exactly one"),
        ("cron(0 3 ? * ? *)", "must have ? in exactly one"),
        ("cron(60 3 * * ? *)", 'cannot read "60" in the cron field minutes'),
        ("cron(0 3 * 13 ? *)", 'cannot read "13" in the cron field month; must be * or within 1-12 or JAN-DEC'),
        ("cron(0 3 ? * MUN *)", 'cannot read "MUN" in the cron field day-of-week'),
        ("cron(0 3-4-5 * * ? *)", 'cannot read "3-4-5" in the cron field hours'),
        ("cron(0/x 3 * * ? *)", 'cannot read "0/x" in the cron field minutes; a step is a number above 0'),
    ],
)
def test_any_other_expression_is_explained(tmp_path: Path, expression: str, advice: str) -> None:
    (problem,) = load(tmp_path, deals=FILE.replace("rate(1 day)", expression))

    assert problem.startswith(f"{tmp_path.name}/deals.yaml: schedule: {advice}")


def test_all_wrong_files_are_reported_together(tmp_path: Path) -> None:
    problems = load(
        tmp_path,
        one=FILE.replace("rate(1 day)", "daily").replace("typeId: 3", "typeId: 0"),
        two=FILE + "name: same\n",
        three=FILE + "name: same\n",
    )

    assert [problem.partition(": ")[0] for problem in problems] == [f"{tmp_path.name}/one.yaml"] * 2 + [tmp_path.name]
    assert 'two files have the name "same"' in problems[-1]


def test_the_limits_in_this_repository_can_be_deployed() -> None:
    folder = Path(__file__).parents[2] / "limits"
    files = sorted(path.name for path in folder.iterdir())

    requests = load_scheduled_requests(folder, files)

    assert len(requests) == len(files) > 0
