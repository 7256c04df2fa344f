"""cfn-lint, on what would be deployed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from app import ROOT
from tests.infra.template import Synthesised


def test_cfn_lint_finds_nothing_in_the_template(stack: Synthesised, tmp_path: Path) -> None:
    template = tmp_path / "template.json"
    template.write_text(json.dumps(stack.template), encoding="utf-8")

    found = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), template],
        cwd=ROOT,  # where .cfnlintrc is
        capture_output=True,
        text=True,
        check=False,
    )

    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")
