"""What a checkout deploys, by its own code: `python -P bench/bundle.py assets BUNDLING FOLDER` builds its code and its
layer, `python -P bench/bundle.py entry-points` tells each function's environment and clients as JSON.

Runs under any checkout's Python with that checkout on its path, so that `infra`, `app` and `bench.cold` are that
checkout's; `-P` keeps this file's own folder off it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from aws_cdk.assertions import Template

from app import build
from infra import bundling
from infra.config import parse_settings

# Names of what only a deployment knows, such as the table's.
UNKNOWN = "known-when-deployed"


def assets(how: str, folder: Path) -> None:
    """Build `code` and `layer` in a folder as cdk.json deploys them, but for its `bundling`."""
    settings = parse_settings({**_context()["settings"], "bundling": how})
    for part, build_part in (("code", bundling.build_code), ("layer", bundling.build_dependencies)):
        (folder / part).mkdir(parents=True)
        build_part(Path.cwd() / "functions", settings, folder / part)


def entry_points() -> dict[str, dict[str, Any]]:
    """By module: `environment`, what cdk.json gives the function; `clients`, what its first event has made."""
    from bench.cold import ENTRY_POINTS

    with tempfile.TemporaryDirectory() as folder:
        stack = build(cdk.App(outdir=folder, context={**_context(), "aws:cdk:bundling-stacks": []}))
        functions = Template.from_stack(stack).find_resources("AWS::Lambda::Function").values()
    variables = {
        function["Properties"]["Handler"]: {
            name: value if isinstance(value, str) else UNKNOWN
            for name, value in function["Properties"]["Environment"]["Variables"].items()
        }
        for function in functions
    }
    return {
        name: {"environment": variables[f"{name}.handler"], "clients": clients}
        for name, clients in ENTRY_POINTS.items()
    }


def _context() -> dict[str, Any]:
    context: dict[str, Any] = json.loads(Path("cdk.json").read_text())["context"]
    return context


if __name__ == "__main__":
    if sys.argv[1] == "assets":
        assets(sys.argv[2], Path(sys.argv[3]))
    else:
        print(json.dumps(entry_points()))
