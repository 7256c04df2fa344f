"""What is deployed, as a CycloneDX bill of materials: `python -m local.sbom`. People use `make sbom`.

The lock decides which distributions are listed, and has their hashes; their licences and what each needs come from the
metadata that .venv holds of the very same versions, so that nothing is downloaded. cyclonedx-py reads an environment
that has that metadata and nothing else. It runs, and this with it, in the environment of the audit tools.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
NAME = "hubspot-association-limits"
LOCK = ROOT / "functions/requirements.txt"
# Where the markers of the lock are judged, whatever this machine is.
LAMBDA = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "aarch64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": "3.13.0",
    "python_version": "3.13",
    "sys_platform": "linux",
}


@dataclass(frozen=True)
class Locked:
    """A distribution of the lock, and the SHA-256 of each file that it may be installed from."""

    requirement: Requirement
    sha256: tuple[str, ...]

    @property
    def name(self) -> str:
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> str:
        return str(self.requirement.specifier).removeprefix("==")


def main() -> None:
    """Write the bill and say how much is in it. Exits with the reason where it would not be true."""
    parser = argparse.ArgumentParser(description="Write what is deployed as a CycloneDX bill of materials.")
    parser.add_argument("--lock", type=Path, default=LOCK)
    parser.add_argument("--output", type=Path, default=ROOT / "sbom.cdx.json")
    arguments = parser.parse_args()
    bill = bill_of_materials(arguments.lock)
    text = json.dumps(bill, indent=2) + "\n"
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if error:
        sys.exit(f"sbom: what was made is no CycloneDX 1.6: {error}")
    arguments.output.write_text(text, encoding="utf-8")
    print(f"{os.path.relpath(arguments.output)}: {len(bill['components'])} components")


def bill_of_materials(lock: Path) -> dict[str, Any]:
    """The bill of what `lock` makes Lambda's layer hold."""
    locked = {each.name: each for each in requirements(lock) if holds(each.requirement, [""])}
    with tempfile.TemporaryDirectory() as folder:
        for each in locked.values():
            copy_metadata(each, Path(folder))
        bill = cyclonedx(Path(folder))
    for tool in bill["metadata"]["tools"]["components"]:
        del tool["externalReferences"]  # where the tool comes from, which is nothing that is deployed
    for component in bill["components"]:
        # The place where cyclonedx-py has a lock's hashes: they are of files, and the component is none. It would name
        # a registry too, but each machine has its own.
        hashes = [
            {"alg": "SHA-256", "content": sha256} for sha256 in locked[canonicalize_name(component["name"])].sha256
        ]
        comment = "one of these files, which depends on the architecture"
        component.setdefault("externalReferences", []).append(
            {"type": "distribution", "url": component["purl"], "comment": comment, "hashes": hashes}
        )
    return bill


def requirements(file: Path) -> Iterator[Locked]:
    """Each requirement of a file in pip's format."""
    for line in file.read_text(encoding="utf-8").replace("\\\n", "").splitlines():
        wanted = re.sub(r"(^|\s)#.*", "", line).strip()
        if wanted:
            requirement, *sha256 = re.split(r"\s+--hash=sha256:", wanted)
            yield Locked(Requirement(requirement), tuple(sha256))


def holds(requirement: Requirement, extras: Iterable[str]) -> bool:
    """Whether it is required in Lambda, by a distribution that is asked for with these extras."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({**LAMBDA, "extra": extra}) for extra in extras)


def copy_metadata(locked: Locked, folder: Path) -> None:
    """Let it seem to be installed in `folder`: what it is and needs in Lambda, but not how it came to this machine."""
    site = [str(path) for path in (ROOT / ".venv").glob("lib/python3.*/site-packages")]
    found = next(iter(distributions(name=locked.name, path=site)), None)
    if found is None or found.version != locked.version:
        here = f"{found.version} is" if found else "it is not"
        sys.exit(f"sbom: {locked.name} {locked.version} is locked, but {here} in .venv. Run make lock, then make sbom.")

    def needed(line: re.Match[str]) -> str:
        return line[0] if holds(Requirement(line[1]), ["", *locked.requirement.extras]) else ""

    metadata = re.sub(r"^Requires-Dist: (.*)\n", needed, found.read_text("METADATA") or "", flags=re.MULTILINE)
    metadata = re.sub(r"^Download-URL: .*\n", "", metadata, flags=re.MULTILINE)  # a registry: each machine has its own
    information = folder / f"{locked.name.replace('-', '_')}-{locked.version}.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(metadata, encoding="utf-8")


def cyclonedx(folder: Path) -> dict[str, Any]:
    """The bill that cyclonedx-py makes of the distributions in `folder`, with the application as its root."""
    project = {
        "name": NAME,
        "version": version(),
        "description": "A serverless service that sets HubSpot association limits",
        "license": "MIT",
        "dependencies": [str(each.requirement) for each in requirements(LOCK.with_suffix(".in"))],
    }
    # Each value is the same in JSON and in TOML.
    described = folder / "pyproject.toml"
    described.write_text("[project]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in project.items()))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "cyclonedx_py", "environment", "--pyproject", described, "--mc-type=application"),
            *("--sv=1.6", "--of=JSON", "--output-reproducible"),
            *("-S", sys.executable),  # without its own packages
        ],
        env={**os.environ, "PYTHONPATH": str(folder)},
        stdout=subprocess.PIPE,
        check=True,
    )
    bill: dict[str, Any] = json.loads(done.stdout)
    return bill


def version() -> str:
    """The newest of the changelog, which is `unreleased` between two versions."""
    newest = re.search(r"^## \[?([^]\s]+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    if newest is None:
        sys.exit("sbom: CHANGELOG.md has no version")
    return newest[1].lower()


if __name__ == "__main__":
    main()
