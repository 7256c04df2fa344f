"""Who may import whom: the contracts in pyproject.toml hold, and break where they should."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app import ROOT

FUNCTIONS = ROOT / "functions"
MOST_MODULES = 16  # of a folder that a reader can take in


def lint(checkout: Path) -> tuple[int, str]:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(checkout / "functions"), str(checkout)])},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for folder in ("functions", "infra"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_every_contract_is_kept(checkout: Path) -> None:
    status, printed = lint(checkout)

    assert status == 0, printed
    assert "4 kept, 0 broken" in printed


@pytest.mark.parametrize(
    ("module", "imported", "contract"),
    [
        ("ledger/claim.py", "from batch_create.plan import Call", "Imports go down only"),
        ("tokens/store.py", "from quota.shared_quota import SharedQuota", "Imports go down only"),
        ("model/pair.py", "from runtime.redaction import redact", "Imports go down only"),
        ("quota/shared_quota.py", "import production", "No package knows an entry point"),
        ("batch_create/handler.py", "import consumer", "No package knows an entry point"),
        ("batch_create/plan.py", "import requests", "Rules load no adapter"),
        ("model/errors.py", "from botocore.exceptions import ClientError", "Rules load no adapter"),
        ("batch_create/attribution.py", "from batch_create.authorised_call import Answer", "Rules load no adapter"),
    ],
)
def test_a_planted_breach_is_found(checkout: Path, module: str, imported: str, contract: str) -> None:
    path = checkout / "functions" / module
    mark = "from __future__ import annotations\n"
    path.write_text(path.read_text().replace(mark, f"{mark}\n{imported}\n", 1))

    status, printed = lint(checkout)

    assert status == 1
    broken = [line for line in printed.splitlines() if line.endswith("BROKEN")]
    assert any(line.startswith(contract) for line in broken), printed


def test_no_folder_holds_more_modules_than_a_reader_can_take_in() -> None:
    folders = [FUNCTIONS, *(path for path in FUNCTIONS.iterdir() if path.is_dir() and path.name != "__pycache__")]
    modules = {folder.name: len([p for p in folder.glob("*.py") if p.name != "__init__.py"]) for folder in folders}

    assert len(modules) > 8
    assert {name: count for name, count in modules.items() if count > MOST_MODULES} == {}


def test_no_package_exports_again_what_is_another_modules() -> None:
    filled = [path for path in FUNCTIONS.rglob("__init__.py") if path.read_text().strip()]

    assert filled == []


def test_no_private_name_is_read_across_modules() -> None:
    private = [
        f"{path.relative_to(FUNCTIONS)}: {line.strip()}"
        for path in FUNCTIONS.rglob("*.py")
        for line in path.read_text().splitlines()
        if line.strip().startswith("from ")
        and any(name.strip().startswith("_") for name in line.split(" import ")[-1].split(","))
    ]

    assert private == []
