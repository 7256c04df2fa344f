"""The CDK command line: npm's one package, pinned, from whichever registry a machine uses."""

from __future__ import annotations

import json

from app import ROOT


def test_the_command_line_is_pinned_and_its_lock_names_no_registry() -> None:
    wanted = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))["devDependencies"]
    packages = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))["packages"]

    assert wanted == {"aws-cdk": "2.1148.1"}
    assert {path for path in packages if path} == {"node_modules/aws-cdk"}
    assert packages["node_modules/aws-cdk"]["version"] == wanted["aws-cdk"]
    assert packages["node_modules/aws-cdk"]["integrity"].startswith("sha512-")
    assert not [path for path, package in packages.items() if "resolved" in package]
