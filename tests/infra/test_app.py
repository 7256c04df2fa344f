"""app.py as the CDK command line runs it: a program of its own, on a machine that knows no AWS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from app import ROOT
from tests.infra.template import CONTEXT, SETTINGS


def run_app(folder: Path, settings: object) -> subprocess.CompletedProcess[str]:
    """Run app.py in `folder`, which is no repository, with no credentials; it writes to `folder`/cdk.out."""
    context = {**CONTEXT, "settings": settings, "aws:cdk:bundling-stacks": []}
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ["HOME"],  # where jsii keeps what it has unpacked
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "CDK_OUTDIR": str(folder / "cdk.out"),
        "CDK_CONTEXT_JSON": json.dumps(context),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return subprocess.run(
        [sys.executable, str(ROOT / "app.py")], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_the_template_needs_no_account_no_region_and_no_repository(tmp_path: Path) -> None:
    done = run_app(tmp_path, SETTINGS)

    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "cdk.out" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["artifacts"]["HubSpotAssociationLimits"]["environment"] == "aws://unknown-account/unknown-region"
    assert "missing" not in manifest  # what CDK would have to look up in an account


def test_wrong_settings_are_told_plainly(tmp_path: Path) -> None:
    done = run_app(tmp_path, {**SETTINGS, "portals": ["Acme"], "batchSise": 10})

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "settings.portals.0: must match" in done.stderr
    assert "settings.batchSise: is not a setting; did you mean batchSize?" in done.stderr


def test_a_wrong_limits_file_is_told_plainly(tmp_path: Path) -> None:
    done = run_app(tmp_path, json.dumps({"schedules": ["absent.yaml"]}))

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "limits/absent.yaml: there is no such file" in done.stderr
