"""What the figures were measured on, and with. Neither a host's name nor a path."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import psutil

PACKAGES = ("boto3", "botocore", "requests", "aws-lambda-powertools", "voluptuous")


def machine() -> dict[str, str]:
    """Cores, processor, memory and system."""
    return {
        "cores": str(os.cpu_count()),
        "processor": _processor(),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}",
    }


def versions(peers: Path | None) -> dict[str, str]:
    """Python's and the packages' that are measured; with the Python of `peers`, also those of HubSpot's SDKs."""
    ours = {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}
    return ours if peers is None else ours | _peers_versions(peers)


def _peers_versions(python: Path) -> dict[str, str]:
    asked = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    names = ("hubspot-sdk", "hubspot-api-client")
    said = subprocess.run([str(python), "-c", asked, *names], check=True, capture_output=True, text=True).stdout
    return dict(zip(names, said.split(), strict=True))


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")  # platform.processor() is empty on Linux
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith(("model name", "Model")):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
