"""The locks, and the public CI: it audits them, runs no code that can change under its name, and may change nothing."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from app import ROOT
from local.setup import AUDIT

WORKFLOWS = sorted((ROOT / ".github/workflows").iterdir())
EVERY_WORKFLOW = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
LOCKS = re.findall(r"^LOCKS := (.*)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)[0].split()
PINNED = re.compile(r"[\w-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")


def read(path: Path) -> dict[Any, Any]:
    workflow: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return workflow


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in read(path)["jobs"].values() for step in job["steps"]]


def commands(target: str) -> str:
    """What `make target` would run."""
    command = ["make", "--dry-run", target]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def test_there_is_a_workflow() -> None:
    assert [path.name for path in WORKFLOWS] == ["ci.yml"]


@EVERY_WORKFLOW
def test_every_action_is_pinned_to_a_commit_and_says_its_version(path: Path) -> None:
    # A comment is no part of what YAML reads, so that the lines are read as well.
    written = re.findall(r"\buses:\s*(.*)", path.read_text(encoding="utf-8"))
    used = [step["uses"] for step in steps(path) if "uses" in step]

    assert used
    assert [line.partition(" #")[0] for line in written] == used
    assert [line for line in written if not PINNED.fullmatch(line)] == []


@EVERY_WORKFLOW
def test_it_may_only_read_and_keeps_no_credentials(path: Path) -> None:
    checkouts = [step for step in steps(path) if step.get("uses", "").startswith("actions/checkout@")]

    assert read(path)["permissions"] == {"contents": "read"}
    assert not [job for job in read(path)["jobs"].values() if "permissions" in job]
    assert len(checkouts) == len(read(path)["jobs"])
    assert [step["with"]["persist-credentials"] for step in checkouts] == [False] * len(checkouts)


def test_the_locks_are_audited_at_every_change_and_every_week() -> None:
    workflow = read(ROOT / ".github/workflows/ci.yml")
    triggers = workflow[True]  # `on`, as YAML 1.1 reads it

    assert triggers.keys() == {"push", "pull_request", "schedule"}
    assert re.fullmatch(r"\d+ \d+ \* \* [0-6]", triggers["schedule"][0]["cron"])
    assert "if" not in workflow["jobs"]["audit"]
    assert workflow["jobs"]["audit"]["steps"][-1] == {"run": "make audit"}


def test_every_lock_is_made_and_audited() -> None:
    asked = {
        path.relative_to(ROOT).with_suffix("").as_posix()
        for pattern in ("*requirements.in", "[a-z]*/*requirements.in")
        for path in ROOT.glob(pattern)
    }

    assert set(LOCKS) == asked
    for target in ("lock", "audit"):
        assert [names.split() for names in re.findall(r"for name in (.*?);", commands(target))] == [LOCKS]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_registry(lock: str) -> None:
    written = (ROOT / f"{lock}.txt").read_text(encoding="utf-8")

    assert "--hash=sha256:" in written
    assert not re.search(r"://|^-|@ ", written, re.MULTILINE)  # an address, an option or a direct reference


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_can_be_audited_as_a_whole_by_its_hashes(lock: str) -> None:
    (flags,) = re.findall(r"bin/pip-audit (.*) --requirement", commands("audit"))
    done = subprocess.run(
        # Without the network: all but the looking up.
        [AUDIT / "bin/pip-audit", "--dry-run", *flags.split(), "--requirement", f"{lock}.txt"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert {"--strict", "--require-hashes", "--disable-pip"} <= set(flags.split())
    assert done.returncode == 0, done.stderr
    assert re.search(r"would have audited \d+ packages", done.stderr, re.IGNORECASE)


def test_the_command_line_of_npm_is_audited_too() -> None:
    assert "npm audit && npm audit signatures" in commands("audit")
