"""checkov finds nothing in the template that is not acknowledged on the one resource, and nothing is acknowledged that
it does not find."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from local.security import checkov
from tests.infra.template import Synthesised

Findings = set[tuple[str, str]]
# What a key of one's own, which `other` has, answers.
ASK_FOR_A_KEY = {"CKV_AWS_27", "CKV_AWS_119", "CKV_AWS_149", "CKV_AWS_158", "CKV_AWS_173"}


def findings(checks: list[dict[str, Any]]) -> Findings:
    return {(check["resource"], check["check_id"]) for check in checks}


def looked(template: Mapping[str, Any], folder: Path) -> tuple[Findings, Findings]:
    """What failed and what was acknowledged, each by resource and rule."""
    path = folder / "stack.template.json"
    path.write_text(json.dumps(template), encoding="utf-8")
    results = checkov(path)["results"]
    return findings(results["failed_checks"]), findings(results["skipped_checks"])


@pytest.mark.parametrize(("which", "of_encryption"), [("stack", ASK_FOR_A_KEY), ("other", set())])
def test_each_finding_is_acknowledged_and_each_acknowledgement_is_of_a_finding(
    request: pytest.FixtureRequest, tmp_path: Path, which: str, of_encryption: set[str]
) -> None:
    synthesised: Synthesised = request.getfixturevalue(which)
    bare = copy.deepcopy(dict(synthesised.template))
    for resource in bare["Resources"].values():
        resource.get("Metadata", {}).pop("checkov", None)

    failed, acknowledged = looked(synthesised.template, tmp_path)
    found, _ = looked(bare, tmp_path)

    assert failed == set()
    assert acknowledged == found != set()
    assert {rule for _, rule in found} & ASK_FOR_A_KEY == of_encryption
