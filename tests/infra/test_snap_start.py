"""With SnapStart what calls a function calls its newest published version; without it nothing is published."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from app import ROOT
from tests.infra.template import Synthesised
from tests.infra.test_functions import EVERY_FUNCTION, HANDLERS, function


@pytest.fixture(scope="module")
def snapped(tmp_path_factory: pytest.TempPathFactory) -> Synthesised:
    """What cdk.json deploys with SnapStart, past cdk-nag."""
    return Synthesised(tmp_path_factory.mktemp("snapped"), snapStart=True)


@EVERY_FUNCTION
def test_without_it_a_function_has_neither_versions_nor_an_alias(stack: Synthesised, name: str) -> None:
    assert "SnapStart" not in function(stack, name)
    assert not stack.of_type("AWS::Lambda::Version")
    assert not stack.of_type("AWS::Lambda::Alias")


@EVERY_FUNCTION
def test_a_function_is_snapped_when_a_version_is_published_and_the_alias_names_it(
    snapped: Synthesised, name: str
) -> None:
    version = snapped.properties("AWS::Lambda::Version", f"{name}/Function/CurrentVersion")
    alias = snapped.properties("AWS::Lambda::Alias", f"{name}/Live")

    assert function(snapped, name)["SnapStart"] == {"ApplyOn": "PublishedVersions"}
    assert version["FunctionName"] == f"{name}/Function"
    assert alias == {
        "FunctionName": f"{name}/Function",
        "FunctionVersion": f"{name}/Function/CurrentVersion.Version",
        "Name": "live",
    }


def test_a_version_that_was_replaced_goes_with_its_snapshot(snapped: Synthesised) -> None:
    versions = snapped.of_type("AWS::Lambda::Version")

    assert len(versions) == len(HANDLERS)
    assert {version.get("DeletionPolicy", "Delete") for version in versions.values()} == {"Delete"}


def test_every_route_and_its_permission_are_of_the_alias(snapped: Synthesised) -> None:
    methods = [
        snapped.properties("AWS::ApiGateway::Method", path) for path in snapped.of_type("AWS::ApiGateway::Method")
    ]
    permissions = [
        snapped.properties("AWS::Lambda::Permission", path) for path in snapped.of_type("AWS::Lambda::Permission")
    ]

    assert methods
    assert all("functions/Webhook/Live/invocations" in method["Integration"]["Uri"] for method in methods)
    assert {permission["FunctionName"] for permission in permissions} == {"Webhook/Live"}


def test_both_queues_are_drained_by_the_alias(snapped: Synthesised) -> None:
    kind = "AWS::Lambda::EventSourceMapping"

    # Part 6 of the alias's ARN is the function's name.
    assert snapped.properties(kind, "Queue/Mapping")["FunctionName"] == "Consumer/Live[6]:live"
    assert snapped.properties(kind, "Queue/DeadLettersMapping")["FunctionName"] == "DeadLetters/Live[6]:live"


def test_schedules_invoke_the_alias_and_may_invoke_nothing_else(snapped: Synthesised) -> None:
    targets = {
        snapped.properties("AWS::Scheduler::Schedule", path)["Target"]["Arn"]
        for path in snapped.of_type("AWS::Scheduler::Schedule")
    }

    assert targets == {"Scheduled/Live", "Sweep/Live", "Dispatcher/Live"}
    assert ("lambda:InvokeFunction", "Scheduled/Live") in snapped.allowed("Schedules/Role")
    assert snapped.allowed("RegularSweep/Role") == {("lambda:InvokeFunction", "Sweep/Live")}


@EVERY_FUNCTION
def test_a_function_may_do_no_more_and_no_less(stack: Synthesised, snapped: Synthesised, name: str) -> None:
    assert snapped.allowed(f"{name}/Role") == stack.allowed(f"{name}/Role")


def test_cfn_lint_finds_nothing_in_the_template(snapped: Synthesised, tmp_path: Path) -> None:
    template = tmp_path / "template.json"
    template.write_text(json.dumps(snapped.template), encoding="utf-8")

    found = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), template],
        cwd=ROOT,  # where .cfnlintrc is
        capture_output=True,
        text=True,
        check=False,
    )

    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")
