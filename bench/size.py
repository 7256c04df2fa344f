"""Measure 6: what is deployed, zipped and unzipped, in millions of bytes."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from bench import target
from bench.checkout import HERE, Checkout
from bench.cold import API_CLIENT, FLOOR, SDK
from bench.picture import bars
from bench.report import Figure, Picture, Ratio, Section
from infra import bundling
from infra.config import Settings

MILLION = 1_000_000
MOST = 6.0  # of the zipped dependencies
DEPENDENCIES, CODE = "our dependencies", "our code"
PEERS = {
    FLOOR: ["boto3", "requests"],
    SDK: ["boto3", "aws-lambda-powertools", "hubspot-sdk"],
    API_CLIENT: ["boto3", "aws-lambda-powertools", "hubspot-api-client"],
}
TEXT = """
For Lambda on arm64 and Python 3.13. Ours is what `make deploy` uploads; the others are what pip installs, with the
bytecode that it makes. Zipped with zlib's default level, each file dated 1980. The same bytes come out each time.
"""


def measure(quick: bool, base: Checkout | None = None) -> Section:
    """Our two assets beside what the others need, and those of the base. `quick` changes nothing."""
    pip_flags = [*bundling.Target.of(Settings()).pip_flags, "--only-binary=:all:"]
    folders = {
        f"{checkout.label}{name}": bundle / part
        for checkout, bundle in [(each, target.ours("lambda", each)) for each in (HERE, base) if each]
        for name, part in ((DEPENDENCIES, "layer"), (CODE, "code"))
    }
    folders |= {name: target.installed(packages, pip_flags) for name, packages in PEERS.items()}
    zipped = {name: Figure(f"{name}: zipped", "MB", (_zipped(folder),)) for name, folder in folders.items()}
    unzipped = {name: Figure(f"{name}: unzipped", "MB", (_unzipped(folder),)) for name, folder in folders.items()}
    most = Figure("the most that our dependencies may take", "MB", (MOST,))
    ratios = [
        Ratio("our zipped dependencies against 6 MB", zipped[DEPENDENCIES], most, 1.0),
        *(Ratio(f"our zipped dependencies against {name}", zipped[DEPENDENCIES], zipped[name], None) for name in PEERS),
    ]
    if base:
        ratios += [
            Ratio(f"{name}: zipped, head / base", zipped[name], zipped[f"{base.label}{name}"], None)
            for name in (DEPENDENCIES, CODE)
        ]
    shown = [(name, figure.median, figure.interval) for name, figure in zipped.items()]
    picture = Picture("size", bars("What is deployed, zipped", "MB", shown))
    figures = [figure for name in folders for figure in (zipped[name], unzipped[name])]
    return Section("Size", TEXT.strip(), tuple(figures), tuple(ratios), (picture,))


def _zipped(folder: Path) -> float:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writer:
        for path in sorted(folder.rglob("*")):
            writer.write(path, path.relative_to(folder))
    return len(archive.getvalue()) / MILLION


def _unzipped(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / MILLION
