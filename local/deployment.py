"""The real app, deployed into the emulator by the real CDK command line."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.emulator import ACCOUNT, REGION, credentials
from local.processes import ROOT

# Every call stays on this machine: neither notices nor telemetry are fetched or sent.
CDK = ["cdk", "--no-notices", "--no-version-reporting", "--no-color", "--ci"]
ARCHITECTURES = {"aarch64": "arm64", "arm64": "arm64", "x86_64": "x86_64", "AMD64": "x86_64"}
SOURCES = [
    *("app.py", "local/app.py", "infra/**/*.py", "functions/**/*.py", "limits/*", "cdk.json"),
    *("requirements.txt", "functions/requirements.txt", "package-lock.json"),
]
ASSEMBLY = "cdk.out"
LINES_SHOWN = 30
PUBLIC_URL = (
    "https://limits.localhost"  # by which HubSpot would sign its requests: the emulator tells no host of its own
)


class DeploymentFailed(Exception):
    """A CDK command failed. The message says which, and ends with what it said."""


def _digest(context: list[str]) -> str:
    """What decides the assembly: the context, the installed packages, and every file that the app reads."""
    digest = hashlib.sha256("\0".join(context).encode())
    for path in sorted(path for pattern in SOURCES for path in ROOT.glob(pattern)):
        digest.update(f"\0{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def local_settings(hubspot_base_url: str) -> dict[str, Any]:
    """The settings in cdk.json, with what differs on one machine."""
    settings: dict[str, Any] = json.loads((ROOT / "cdk.json").read_text())["context"]["settings"]
    return settings | {
        "hubspotBaseUrl": hubspot_base_url,
        "architecture": ARCHITECTURES[platform.machine()],
        "bundling": "host",
        "deletionProtection": False,
        "publicUrl": PUBLIC_URL,
    }


@dataclass(frozen=True)
class Cdk:
    """The CDK command line, against the emulator at `endpoint`.

    What it writes goes to `folder`. `lock` is a file descriptor that every command inherits, so that the lock it holds
    lasts as long as the command, even where the caller is killed.
    """

    endpoint: str
    folder: Path
    lock: int

    @property
    def _assembly(self) -> Path:
        return self.folder / ASSEMBLY

    def bootstrap(self) -> None:
        """Make what CDK keeps in an account. Raises DeploymentFailed."""
        # Not in the project's folder: there it would run the app, which has nothing to say here.
        self._run(["bootstrap", f"aws://{ACCOUNT}/{REGION}"], self.folder)

    def synth(self, settings: dict[str, Any], schedule: str | None) -> None:
        """Turn the app into templates and assets, the schedules of requests with the expression `schedule` if any.

        What was made from the same files and settings is kept as it is. Raises DeploymentFailed.
        """
        context = ["--context", f"settings={json.dumps(settings)}"]
        if schedule:
            context += ["--context", f"schedule={schedule}"]
        digest = _digest(context)
        mark = self._assembly / ".made-from"
        if mark.exists() and mark.read_text() == digest:
            return
        mark.unlink(missing_ok=True)
        self._run(["synth", "--quiet", "--app", "python -m local.app", "--output", str(self._assembly), *context], ROOT)
        mark.write_text(digest)

    def deploy(self) -> None:
        """Deploy what was synthesized, as an update where it is there already. Raises DeploymentFailed."""
        # A change set would only be looked at by nobody.
        options = ["--require-approval", "never", "--method", "direct", "--progress", "events"]
        self._run(["deploy", "--all", "--app", str(self._assembly), *options], self.folder)

    def _run(self, arguments: list[str], directory: Path) -> None:
        # This checkout's own Python, Node and CDK, also where `make` has not put them on PATH.
        own = [str(Path(sys.executable).parent), str(ROOT / "node_modules/.bin"), os.environ["PATH"]]
        environment = os.environ | credentials(self.endpoint) | {"CDK_DISABLE_CLI_TELEMETRY": "true"}
        environment["PATH"] = os.pathsep.join(own)
        log = self.folder / f"cdk-{arguments[0]}.log"
        with log.open("w") as output:
            command = subprocess.run(
                [*CDK, *arguments],
                cwd=directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[self.lock],
                check=False,
            )
        if command.returncode:
            said = "\n".join(log.read_text(errors="replace").splitlines()[-LINES_SHOWN:])
            raise DeploymentFailed(f"`cdk {arguments[0]}` failed with exit status {command.returncode}:\n{said}")
