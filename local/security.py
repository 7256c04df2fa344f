"""What checks the stack, and what it is told to live with: `python -m local.security`. People use `make security`."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from rich.console import Console
from rich.table import Table

from app import ROOT, build
from infra.nag import CHECKOV, acknowledged


def main() -> None:
    """Synthesise the stack past cdk-nag, which fails at every finding that is not acknowledged, and let checkov look at
    the template. List every finding that is acknowledged. Exits 1 with those that are not."""
    context = json.loads((ROOT / "cdk.json").read_text())["context"] | {"aws:cdk:bundling-stacks": []}
    with tempfile.TemporaryDirectory() as folder:
        app = cdk.App(outdir=folder, context=context)
        stack = build(app)
        found = sorted((str(construct.node.path), rule, reason) for construct, rule, reason in acknowledged(app))
        app.synth()  # raises, and has printed, what is not acknowledged
        looked = checkov(Path(folder) / stack.template_file)
    table = Table("resource", "rule", "why it is no fault", show_lines=True)
    for path, rule, reason in found:
        table.add_row(path.removeprefix(f"{stack.stack_name}/"), rule, reason)
    for check in looked["results"]["failed_checks"]:
        table.add_row(check["resource"], check["check_id"], f"NOT ACKNOWLEDGED: {check['check_name']}")
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    console.print(table)
    nag, passed = sum(not rule.startswith(CHECKOV) for _, rule, _ in found), looked["summary"]
    console.print(f"cdk-nag, AwsSolutions and Serverless: {nag} findings acknowledged, 0 others.")
    console.print(
        f"checkov: {passed['passed']} passed, {passed['failed']} failed, {passed['skipped']} acknowledged, each above."
    )
    sys.exit(passed["failed"] > 0)


def checkov(template: Path) -> dict[str, Any]:
    """What checkov says of a template: `summary`, and `results` with `failed_checks` and `skipped_checks`."""
    command: list[str | Path] = [
        ROOT / ".venv/checkov/bin/checkov",
        "--file",
        template,
        "--framework",
        "cloudformation",
    ]
    options = ["--skip-download", "--soft-fail", "--output", "json"]  # nothing of it needs the internet
    done = subprocess.run([*command, *options], stdout=subprocess.PIPE, check=True)
    said: dict[str, Any] = json.loads(done.stdout)
    if "results" not in said or said["summary"]["parsing_errors"]:
        sys.exit(f"security: checkov could not read the template: {said}")
    return said


if __name__ == "__main__":
    main()
