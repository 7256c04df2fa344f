"""The bill of materials: what the lock has for Lambda, exactly, and nothing of the machine that wrote it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from packaging.utils import canonicalize_name

from app import ROOT
from infra.bundling import RUNTIME_VERSION
from local.setup import AUDIT
from tests.infra.bundle import locked_for_lambda

LOCK = (ROOT / "functions/requirements.txt").read_text(encoding="utf-8")
SOME_HASH = f"    --hash=sha256:{'0' * 64}\n"
Bill = dict[str, Any]


def run(folder: Path, lock: str = LOCK, **environment: str) -> subprocess.CompletedProcess[str]:
    """What `make sbom` runs, of this lock and into `folder`."""
    (folder / "requirements.txt").write_text(lock, encoding="utf-8")
    places: list[str | Path] = ["--lock", folder / "requirements.txt", "--output", folder / "sbom.cdx.json"]
    return subprocess.run(
        [AUDIT / "bin/python", "-m", "local.sbom", *places],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def made(folder: Path, lock: str = LOCK, **environment: str) -> str:
    done = run(folder, lock, **environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(f"sbom.cdx.json: {len(locked_for_lambda(lock))} components\n")
    return (folder / "sbom.cdx.json").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    return made(tmp_path_factory.mktemp("sbom"))


@pytest.fixture(scope="module")
def bill(text: str) -> Bill:
    bill: Bill = json.loads(text)
    return bill


def versions(bill: Bill) -> dict[str, str]:
    assert {component["type"] for component in bill["components"]} == {"library"}
    listed: dict[str, str] = {canonicalize_name(each["name"]): each["version"] for each in bill["components"]}
    assert len(listed) == len(bill["components"])
    return listed


def test_it_lists_exactly_what_is_locked_for_lambda(bill: Bill) -> None:
    assert versions(bill) == locked_for_lambda(LOCK)


def test_every_component_has_its_address_its_licence_and_the_hashes_of_the_lock(bill: Bill) -> None:
    blocks = re.findall(r"^([a-z0-9-]+)==.*\\\n((?: +--hash=.*\n)+)", LOCK, re.MULTILINE)
    locked = {name: set(re.findall("sha256:([0-9a-f]{64})", hashes)) for name, hashes in blocks}
    hashes = {}
    for component in bill["components"]:
        name = canonicalize_name(component["name"])
        assert component["purl"] == f"pkg:pypi/{name}@{component['version']}"
        assert component["licenses"], name
        (files,) = [reference for reference in component["externalReferences"] if reference["type"] == "distribution"]
        assert {each["alg"] for each in files["hashes"]} == {"SHA-256"}
        hashes[name] = {each["content"] for each in files["hashes"]}

    assert hashes == locked


def test_its_root_is_the_application_and_needs_what_it_asks_for(bill: Bill) -> None:
    root = bill["metadata"]["component"]
    needs = {each["ref"]: each.get("dependsOn", []) for each in bill["dependencies"]}
    asked = re.findall(r"^([a-z0-9-]+)==", (ROOT / "functions/requirements.in").read_text(), re.MULTILINE)
    newest = re.findall(r"^## \[?([^]\s]+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[0]

    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert (root["type"], root["name"], root["version"]) == (
        "application",
        "hubspot-association-limits",
        newest.lower(),
    )
    assert [canonicalize_name(ref.partition("==")[0]) for ref in needs[root["bom-ref"]]] == sorted(asked)
    # Not what only an extra that nobody asks for would need.
    (powertools,) = [ref for ref in needs if canonicalize_name(ref.partition("==")[0]) == "aws-lambda-powertools"]
    assert needs[powertools]
    assert not [ref for ref in needs[powertools] if ref.startswith("boto3==")]


def test_another_lock_makes_another_bill(tmp_path: Path, bill: Bill) -> None:
    without_six = re.sub(r"^six==.*\n( +.*\n)+", "", LOCK, flags=re.MULTILINE)
    more = {
        "psutil": f" ; sys_platform == 'linux' and python_version == '{RUNTIME_VERSION}'",
        "pyyaml": " ; sys_platform == 'win32'",
        "rich": "",
        "ruff": f" ; python_full_version < '{RUNTIME_VERSION}'",
    }
    lock = without_six + "".join(f"{name}=={version(name)}{marker} \\\n{SOME_HASH}" for name, marker in more.items())

    changed = versions(json.loads(made(tmp_path, lock)))

    assert changed == locked_for_lambda(lock)
    assert changed.keys() ^ versions(bill).keys() == {"six", "psutil", "rich"}


def test_what_is_not_installed_as_it_is_locked_is_not_described(tmp_path: Path) -> None:
    done = run(tmp_path, re.sub(r"^six==\S+", "six==1.2.3", LOCK, flags=re.MULTILINE))

    assert done.returncode == 1
    assert re.fullmatch(r"sbom: six 1\.2\.3 is locked, but \S+ is in \.venv\. Run make lock, .*\n", done.stderr)
    assert not (tmp_path / "sbom.cdx.json").exists()


def test_it_is_the_same_on_every_machine_and_names_neither_the_machine_nor_a_registry(
    text: str, tmp_path: Path
) -> None:
    configuration = tmp_path / "pip.conf"
    configuration.write_text("[global]\nextra-index-url = https://registry.example.test/more\n", encoding="utf-8")

    again = made(
        tmp_path,
        PIP_CONFIG_FILE=str(configuration),
        PIP_INDEX_URL="https://registry.example.test/simple",
        PYTHONHASHSEED="7",
    )

    assert again == text
    for place in ("registry.example.test", "pypi.org", "pythonhosted.org", "file:", str(ROOT), str(tmp_path)):
        assert place not in text
