"""What the security gate lives with: `python -m local.security`. People use `make security`."""

from __future__ import annotations

import json
import sys
import tempfile

import aws_cdk as cdk
from rich.console import Console
from rich.table import Table

from app import ROOT, build
from infra.nag import acknowledged


def main() -> None:
    """Synthesise the stack past cdk-nag, which fails at every finding that is not acknowledged, and list those that
    are."""
    context = json.loads((ROOT / "cdk.json").read_text())["context"] | {"aws:cdk:bundling-stacks": []}
    with tempfile.TemporaryDirectory() as folder:
        app = cdk.App(outdir=folder, context=context)
        stack = build(app)
        found = sorted((str(construct.node.path), rule, reason) for construct, rule, reason in acknowledged(app))
        app.synth()  # raises, and has printed, what is not acknowledged
    table = Table("resource", "rule", "why it is no fault", show_lines=True)
    for path, rule, reason in found:
        table.add_row(path.removeprefix(f"{stack.stack_name}/"), rule, reason)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    console.print(table)
    console.print(f"cdk-nag, AwsSolutions and Serverless: {len(found)} findings acknowledged, 0 others.")


if __name__ == "__main__":
    main()
