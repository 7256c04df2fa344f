"""What the dependencies' asset leaves out: what the functions cannot reach, and what is there twice.

docs/cold-start.md has what each costs. `digest` is part of the asset's hash, so that a change here makes a new asset.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

# Every service that a function makes a client of; a test compares them with the code.
SERVICES = frozenset({"dynamodb", "secretsmanager", "sqs"})

_UTILITIES = "aws_lambda_powertools/utilities"
UNREACHABLE = (
    "aws_lambda_powertools/event_handler/openapi/swagger_ui",  # a web page of the API's description, never served
    # Powertools' tools that we do not use; its logger, metrics and resolver import none of them.
    *(f"{_UTILITIES}/{name}" for name in ("auth_alpha", "batch", "circuit_breaker", "data_masking", "feature_flags")),
    *(f"{_UTILITIES}/{name}" for name in ("idempotency", "kafka", "parameters", "parser", "streaming")),
    # Clients are all that is made: boto3 describes its resources here, and then knows of none.
    *("boto3/data", "boto3/examples"),
    "botocore/cacert.pem",  # only for an environment without certifi, which requests brings
    "certifi/tests",
    "dateutil/zoneinfo",  # a second copy of the time zones, which botocore never asks for
    "urllib3/contrib/emscripten",  # for browsers
)
# What an installer leaves for itself. METADATA stays, as scanners find packages by it, and licences stay.
INSTALLERS = ("INSTALLER", "RECORD", "REQUESTED", "WHEEL", "direct_url.json", "entry_points.txt", "top_level.txt")


def digest() -> str:
    """Names this file as it is."""
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()


def prune(packages: Path) -> None:
    """Leave out of installed packages what the functions do not need. Raises FileNotFoundError where something is no
    longer there to be left out, which a new version must be looked at for."""
    shutil.rmtree(packages / "bin", ignore_errors=True)  # scripts, which name this machine's interpreter
    for path in UNREACHABLE:
        _remove(packages / path)
    for name in INSTALLERS:
        _remove_all(packages.glob(f"*.dist-info/{name}"))
    for pattern in ("*.pyi", "py.typed"):
        _remove_all(packages.rglob(pattern))
    _prune_services(packages / "botocore/data")


def remove_compiled_sources(packages: Path) -> None:
    """Leave out each source that has its bytecode beside it. A traceback still names file, line and function."""
    _remove_all(source for source in packages.rglob("*.py") if source.with_suffix(".pyc").exists())


def _prune_services(data: Path) -> None:
    """Keep the descriptions of our services, as plain JSON without the prose, which botocore would parse each time."""
    for folder in data.iterdir():
        if folder.is_dir() and folder.name not in SERVICES:
            shutil.rmtree(folder)
    _remove_all(data.rglob("examples-1.json"))
    for packed in data.rglob("*.json.gz"):
        _write(packed.with_suffix(""), _without_prose(json.loads(gzip.decompress(packed.read_bytes()))))
        packed.unlink()
    # Where the services are, in 1.2 MB; botocore reads it all for the first client.
    endpoints = json.loads((data / "endpoints.json").read_bytes())
    for partition in endpoints["partitions"]:
        partition["services"] = {name: of for name, of in partition["services"].items() if name in SERVICES}
    _write(data / "endpoints.json", endpoints)


def _without_prose(value: Any) -> Any:
    if isinstance(value, dict):
        # A member of that name would be described by an object.
        prose = isinstance(value.get("documentation"), str)
        return {name: _without_prose(part) for name, part in value.items() if not (prose and name == "documentation")}
    return [_without_prose(part) for part in value] if isinstance(value, list) else value


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, separators=(",", ":")), encoding="utf-8")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def _remove_all(paths: Iterable[Path]) -> None:
    for path in list(paths):
        path.unlink()
