"""Folders of packages as Lambda would find them: our own bundle, and what pip makes of the benchmark's lock."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.checkout import HERE, Checkout
from bench.environment import REQUIREMENTS
from local.processes import ROOT

FOLDER = ROOT / ".local/bench/targets"
PROGRAM = ROOT / "bench/bundle.py"  # a file and no module of a checkout, so that one program asks both
# The first moment that a zip archive can name, 1980-01-01 in UTC: what CDK's archives give every file.
ZIPS_FIRST_MOMENT = 315_532_800


@dataclass(frozen=True)
class EntryPoint:
    """A function as it is deployed: its environment variables, and the statements by which it makes its clients."""

    environment: dict[str, str]
    clients: str


def ours(how: str, checkout: Checkout = HERE) -> Path:
    """A new folder with `code` and `layer`, as a checkout deploys them where its setting `bundling` is `how`."""
    folder = FOLDER / f"{'base' if checkout.commit else 'ours'}-{how}"
    shutil.rmtree(folder, ignore_errors=True)
    checkout.said("-P", str(PROGRAM), "assets", how, str(folder))
    return _dated(folder)


def entry_points(checkout: Checkout) -> dict[str, EntryPoint]:
    """A checkout's functions by module."""
    return {
        name: EntryPoint(**told) for name, told in json.loads(checkout.said("-P", str(PROGRAM), "entry-points")).items()
    }


def installed(packages: Sequence[str], pip_flags: Sequence[str] = ()) -> Path:
    """A folder with packages of bench/requirements.txt and all that they need, as a plain `pip install --target` leaves
    it. It is kept for the next time."""
    lock = REQUIREMENTS.read_text(encoding="utf-8")
    key = hashlib.sha256("\0".join([lock, sys.version, *packages, *pip_flags]).encode()).hexdigest()[:16]
    folder, making = FOLDER / key, FOLDER / f"{key}.making"
    if folder.exists():
        return folder
    print(f"bench: installing {', '.join(packages)} ...", flush=True)
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    requirements = FOLDER / f"{key}.txt"
    requirements.write_text("".join(subset(lock, packages)), encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    wanted = ["--require-hashes", "--no-deps", "--requirement", str(requirements), "--target", str(making)]
    subprocess.run([*pip, *wanted, *pip_flags], check=True)
    _dated(making).rename(folder)
    return folder


def compiled(folder: Path) -> Path:
    """A copy of such a folder with bytecode that no date makes stale."""
    copy = folder.with_suffix(".compiled")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy)
    command = ["compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash", str(copy)]
    subprocess.run([sys.executable, "-m", *command], check=True)
    return _dated(copy)


def subset(lock: str, packages: Sequence[str]) -> list[str]:
    """The entries of a lock for packages and all that they need, which the lock tells in its `via` comments."""
    entries = {entry.split("==")[0]: entry for entry in re.findall(r"^[\w.-]+==.*\n(?:[ ]+.*\n?)*", lock, re.MULTILINE)}
    needed_by = {
        name: set(re.findall(r"#\s+(?:via )?([\w.-]+)$", entry, re.MULTILINE)) for name, entry in entries.items()
    }
    found = set(packages)
    while more := {name for name, by in needed_by.items() if by & found} - found:
        found |= more
    return [entries[name] for name in sorted(found)]


def _dated(folder: Path) -> Path:
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (ZIPS_FIRST_MOMENT, ZIPS_FIRST_MOMENT))
    return folder
