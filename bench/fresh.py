"""Fresh interpreters, as Lambda starts one for an execution environment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

# Nobody is asked with these: what is asked at all is bench/aws.py.
ENVIRONMENT = {
    "AWS_REGION": "eu-central-1",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "HUBSPOT_BASE_URL": "https://api.hubapi.com",
}
WITHIN = 120  # seconds; far more than any of them takes on a busy machine


class Failed(Exception):
    """A program ended in an error or did not do what it is for; the message has the last line of what it said."""

    def __init__(self, what: str, text: str) -> None:
        # All of it is for whoever runs this: it may name folders of their machine, which no report does.
        print(text, file=sys.stderr, flush=True)
        last = text.strip().splitlines()[-1:]
        super().__init__(": ".join([what, *last]))


def said(program: str, path: Sequence[Path], environment: dict[str, str]) -> str:
    """What a program writes to standard output. It finds its packages on `path` alone, and writes no bytecode."""
    base = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    variables = {**ENVIRONMENT, **environment, "PYTHONPATH": os.pathsep.join(map(str, path))}
    done = subprocess.run(
        [str(base), "-B", "-S", "-s", "-c", program],
        env=variables,
        check=False,
        capture_output=True,
        text=True,
        timeout=WITHIN,
    )
    if done.returncode:
        raise Failed("a fresh interpreter ended in an error", done.stderr or done.stdout)
    return done.stdout
