"""The assets as Lambda would unpack them, for tests that run what is in them, and what must be in their lock."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from app import ROOT
from infra import bundling
from infra.config import Settings

# What a function finds around it, with no AWS to reach.
ENVIRONMENT = {
    "AWS_REGION": "eu-central-1",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",  # discard: nobody listens there
    "AWS_LAMBDA_FUNCTION_NAME": "function",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
    "HUBSPOT_BASE_URL": "https://api.hubapi.com",
    "HUBSPOT_API_VERSIONS": "2026-03",
    "PORTALS": "default",
    "PORTAL_TIME_ZONES": "",
    "TOKEN_SECRET_PREFIX": "p",
    "OUTCOMES_TABLE": "outcomes",
    "ACCESS_TOKENS_TABLE": "tokens",
    "OUTCOME_RETENTION_DAYS": "400",
    "BATCH_SIZE": "100",
    "QUOTA_CALLS": "100",
    "HEAD_ROOM": "0.03",
    "QUEUE_URL": "https://sqs.eu-central-1.amazonaws.com/123456789012/q",
    "CLIENTS_SECRET": "clients",
    "POWERTOOLS_SERVICE_NAME": "test",
    "POWERTOOLS_METRICS_NAMESPACE": "Test",
}


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


def locked_for_lambda(lock: str) -> dict[str, str]:
    """The versions that a lock has for Lambda, by canonical name."""
    wanted = [Requirement(line) for line in re.findall(r"^([a-z0-9].*?) \\$", lock, re.MULTILINE)]
    lambdas = {"python_full_version": "3.13.0", "python_version": "3.13", "sys_platform": "linux", "os_name": "posix"}
    return {
        canonicalize_name(each.name): str(each.specifier).removeprefix("==")
        for each in wanted
        if each.marker is None or each.marker.evaluate(lambdas)
    }
