"""What is left out of the dependencies takes nothing from the functions."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from app import ROOT
from infra import pruning
from tests.infra.bundle import ENVIRONMENT, BuiltBundle

# What a client of each service knows, in each region that AWS has: where it calls, what it signs and what it can do.
KNOWN = """
import json, sys
import botocore.session
services, regions = json.loads(sys.argv[1])
session = botocore.session.get_session()
def known(service, region):
    client = session.create_client(service, region)
    meta = client.meta
    shapes = {name: str(meta.service_model.shape_for(name).metadata) for name in meta.service_model.shape_names}
    return [meta.endpoint_url, client._request_signer.region_name, client._request_signer.signing_name,
            meta.service_model.operation_names, shapes, sorted(meta.config.retries.items())]
print(json.dumps({f"{service} {region}": known(service, region) for service in services for region in regions}))
"""
CERTIFICATES_AND_TIME_ZONES = """
import json, os
import botocore.httpsession, requests.certs
from production import settings
print(json.dumps([botocore.httpsession.where(), requests.certs.where(), str(settings().zone("default"))]))
"""
NOBODY_ANSWERS = """
import json
from production import ledger, now, queue, secret_store
def failure(call):
    try:
        call()
    except Exception as error:  # of any kind: its name is what the test compares
        return type(error).__name__
print(json.dumps([
    failure(lambda: ledger().get("o-1")),
    failure(lambda: secret_store().current("clients")),
    failure(lambda: queue().postpone({"receipt": now()}, now())),
]))
"""


def run_in(bundle: BuiltBundle, program: str, *arguments: str, **environment: str) -> Any:
    """What a program says as JSON that finds nothing but the bundle."""
    base = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    path = os.pathsep.join(map(str, (bundle.code, bundle.layer / "python")))
    done = subprocess.run(
        [base, "-S", "-c", program, *arguments],
        env={**ENVIRONMENT, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_the_services_kept_are_those_the_code_makes_clients_of() -> None:
    calls = [
        node
        for source in (ROOT / "functions").rglob("*.py")
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in {"client", "create_client"}
    ]

    named = {argument.value for call in calls for argument in call.args if isinstance(argument, ast.Constant)}

    assert named == pruning.SERVICES


def test_what_is_no_longer_there_to_be_left_out_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="swagger_ui"):
        pruning.prune(tmp_path)


def test_prose_is_left_out_and_a_member_of_its_name_is_not() -> None:
    described = {
        "documentation": "<p>what it is</p>",
        "members": {"documentation": {"shape": "Text", "documentation": "<p>a member</p>"}},
        "lists": [{"documentation": "x", "type": "string"}],
    }

    assert pruning._without_prose(described) == {
        "members": {"documentation": {"shape": "Text"}},
        "lists": [{"type": "string"}],
    }


@pytest.mark.bundle
def test_each_module_is_there_once_and_nothing_that_only_tools_read(built_bundle: BuiltBundle) -> None:
    packages = built_bundle.layer / "python"
    left = [path for path in packages.rglob("*") if path.suffix in {".py", ".pyi"} or path.name == "py.typed"]

    assert not left
    assert not [path for path in packages.rglob("__pycache__") if any(path.iterdir())]
    assert {path.name for path in (packages / "botocore/data").iterdir() if path.is_dir()} == pruning.SERVICES
    assert not [path for path in packages.rglob("*") if path.name in pruning.INSTALLERS]


@pytest.mark.bundle
def test_every_package_keeps_its_metadata_and_licence(built_bundle: BuiltBundle) -> None:
    packages = list((built_bundle.layer / "python").glob("*.dist-info"))

    assert len(packages) > 10
    for package in packages:
        names = [path.name.upper() for path in package.rglob("*")]
        assert "METADATA" in names
        assert any(word in name for name in names for word in ("LICENSE", "NOTICE", "COPYING")), package.name


@pytest.mark.bundle
def test_its_clients_know_of_every_region_what_the_whole_botocore_knows(built_bundle: BuiltBundle) -> None:
    session = botocore.session.get_session()
    partitions = session.get_available_partitions()
    regions = [region for name in partitions for region in session.get_available_regions("dynamodb", name)]
    asked = json.dumps([sorted(pruning.SERVICES), regions])
    elsewhere = {"AWS_ENDPOINT_URL": ""}
    whole = subprocess.run(
        [sys.executable, "-c", KNOWN, asked],
        env={**ENVIRONMENT, **elsewhere},
        capture_output=True,
        text=True,
        check=True,
    )

    assert len(regions) > 30
    assert run_in(built_bundle, KNOWN, asked, **elsewhere) == json.loads(whole.stdout)


@pytest.mark.bundle
def test_its_clients_come_as_far_as_the_network(built_bundle: BuiltBundle) -> None:
    assert run_in(built_bundle, NOBODY_ANSWERS) == ["LedgerUnavailable", "Unavailable", "QueueUnavailable"]


@pytest.mark.bundle
def test_it_has_certificates_and_time_zones_of_its_own(built_bundle: BuiltBundle) -> None:
    aws, hubspot, zone = run_in(
        built_bundle, CERTIFICATES_AND_TIME_ZONES, PYTHONTZPATH="", PORTAL_TIME_ZONES="default=Europe/Berlin"
    )

    assert aws == hubspot == str(built_bundle.layer / "python/certifi/cacert.pem")
    assert zone == "Europe/Berlin"
