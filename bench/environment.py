"""An environment of its own for what the benchmark compares with, so that nobody else has to install it."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from local.processes import ROOT

REQUIREMENTS = ROOT / "bench/requirements.txt"
VENV = ROOT / ".local/bench/peers"


def installed() -> Path:
    """The Python of an environment of its own that has HubSpot's SDKs, made where it is missing or out of date."""
    python, mark = VENV / "bin/python", VENV / ".made-from"
    made_from = hashlib.sha256(bytes(ROOT) + REQUIREMENTS.read_bytes()).hexdigest()
    if mark.exists() and mark.read_text() == made_from:
        return python
    print("bench: installing HubSpot's SDKs ...", flush=True)
    VENV.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
    pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]
    subprocess.run([*pip, "install", "--require-hashes", "--requirement", str(REQUIREMENTS)], check=True)
    mark.write_text(made_from)
    return python
