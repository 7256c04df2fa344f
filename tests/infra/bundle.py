"""The assets as Lambda would unpack them, for tests that run what is in them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from app import ROOT
from infra import bundling
from infra.config import Settings


@dataclass(frozen=True)
class BuiltBundle:
    """Two directories: `code` (Lambda's /var/task), and `layer` (its /opt) with the packages in `layer`/python."""

    code: Path
    layer: Path


def build_bundle(folder: Path) -> BuiltBundle:
    """Build both assets for this machine's interpreter into `folder`."""
    settings = Settings(bundling="host")
    built = BuiltBundle(folder / "code", folder / "layer")
    for directory in (built.code, built.layer):
        directory.mkdir()
    bundling.build_code(ROOT / "functions", settings, built.code)
    bundling.build_dependencies(ROOT / "functions", settings, built.layer)
    return built
