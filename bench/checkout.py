"""States of the service that can be measured: this checkout, and with `--base` another commit of it in a worktree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from local.processes import ROOT

FOLDER = ROOT / ".local/bench/base"


class ProgramFailed(RuntimeError):
    """A program of a checkout ended in an error."""


class NoSuchBase(Exception):
    """The base cannot be had; the message says why in one line."""


@dataclass(frozen=True)
class Checkout:
    """A checkout with an environment of its own. `label` stands before the names of its figures; `commit` and
    `subject` are empty for this one, which may have changes that no commit has."""

    label: str
    root: Path
    python: Path
    commit: str = ""
    subject: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """This process's environment variables, with this checkout's code and tools before all others'."""
        return os.environ | {
            "PYTHONPATH": os.pathsep.join([str(self.root), str(self.root / "functions")]),
            "PATH": os.pathsep.join([str(self.python.parent), os.environ["PATH"]]),
        }

    def said(self, *arguments: str, **environment: str) -> str:
        """What this checkout's Python says to standard output, run in its root. Raises ProgramFailed."""
        command = [str(self.python), *arguments]
        done = subprocess.run(
            command, cwd=self.root, env=self.environment | environment, check=False, stdout=subprocess.PIPE, text=True
        )
        if done.returncode:
            # Of which a report would tell, and it names no folder of a machine.
            raise ProgramFailed(
                f"a program of the {'base' if self.commit else 'head'} failed; what it said stands above"
            )
        return done.stdout


def compile_functions(checkout: Checkout) -> None:
    """As those that are deployed are: otherwise each worker would compile what it imports at its first invocation,
    where an environment says that Python writes no bytecode. Raises ProgramFailed."""
    checkout.said("-m", "compileall", "-q", "functions")


HERE = Checkout("", ROOT, Path(sys.executable))


def base(revision: str, root: Path = ROOT, folder: Path = FOLDER) -> Checkout:
    """The commit that a revision names, checked out below `folder` and set up by its own `local/setup.py`. Both are
    kept for the next time. Raises NoSuchBase."""
    checkout = checked_out(revision, root, folder)
    print(f"bench: the base is {checkout.commit[:12]}: {checkout.subject}", flush=True)
    # By this very interpreter, outside of any environment, so that both checkouts run on one Python.
    setup = subprocess.run([os.path.realpath(sys.executable), "local/setup.py"], cwd=checkout.root, check=False)
    if setup.returncode:
        raise NoSuchBase(f"the base {checkout.commit[:12]} cannot be set up; what its local/setup.py said stands above")
    return checkout


def checked_out(revision: str, root: Path, folder: Path) -> Checkout:
    """The worktree of a commit, made where it is missing or not as the commit has it. Raises NoSuchBase."""
    found = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if found.returncode:
        raise NoSuchBase(f"the base {revision!r} is no commit of this repository")
    commit = found.stdout.strip()
    place = folder / commit
    if not _is_at(place, commit):
        shutil.rmtree(place, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        _git(root, "worktree", "prune")
        # Forced twice: an interrupted one stays registered, and locked.
        made = _git(root, "worktree", "add", "--force", "--force", "--detach", str(place), commit)
        if made.returncode:
            raise NoSuchBase(f"the base {commit[:12]} cannot be checked out: {made.stderr.strip().splitlines()[-1]}")
    subject = _git(root, "log", "-1", "--format=%s", commit).stdout.strip()
    return Checkout("base: ", place, place / ".venv/bin/python", commit, subject)


def _is_at(place: Path, commit: str) -> bool:
    """Whether a worktree is there, at this commit and unchanged."""
    if not (place / ".git").is_file():  # git would look for one above it
        return False
    head = _git(place, "rev-parse", "HEAD")
    changes = _git(place, "status", "--porcelain", "--untracked-files=no")
    return head.stdout.strip() == commit and not changes.returncode and not changes.stdout


def _git(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # Within a hook of git's, its variables would name another repository than the folder's.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
