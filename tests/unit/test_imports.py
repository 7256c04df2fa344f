"""What an entry point imports, module by module: each import is paid for at every cold start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

FUNCTIONS = Path(__file__).resolve().parents[2] / "functions"
LISTS = Path(__file__).with_name("imports.json")
# What makes ready what the first event needs, as bench/cold.py has it.
READY = {
    "webhook": "from production import production; production()",
    "consumer": "from production import production; production()",
    "scheduled": "from production import production; production()",
    "dead_letters": "from production import production; production()",
    "sweep": "from production import leases, ledger, queue; leases(); ledger(); queue()",
    "dispatcher": "from production import gates, queue; gates(); queue()",
}
ENVIRONMENT = {
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_EC2_METADATA_DISABLED": "true",
    "POWERTOOLS_SERVICE_NAME": "tests",
    "POWERTOOLS_METRICS_NAMESPACE": "tests",
    "HUBSPOT_BASE_URL": "https://api.hubapi.com",
    "HUBSPOT_API_VERSIONS": "2026-03",
    "PORTALS": "default",
    "TOKEN_SECRET_PREFIX": "portals",
    "OUTCOMES_TABLE": "outcomes",
    "ACCESS_TOKENS_TABLE": "tokens",
    "OUTCOME_RETENTION_DAYS": "400",
    "BATCH_SIZE": "100",
    "QUOTA_CALLS": "100",
    "HEAD_ROOM": "0.03",
    "QUEUE_URL": "https://sqs.eu-central-1.amazonaws.com/1/queue",
}
NOBODY = {
    "aws_lambda_powertools.utilities.batch": "consumer.py has the acknowledgement contract in ten lines",
    "aws_lambda_powertools.utilities.idempotency": "claims in the ledger are our idempotency",
    "aws_lambda_powertools.utilities.parameters": "secrets have one memory, aws/secrets_manager.py",
    "aws_lambda_powertools.utilities.parser": "model/validation.py has the checks",
    "aws_xray_sdk": "nothing is traced",
    "pydantic": "records are dataclasses, and voluptuous checks at the doors",
    "unittest": "for tests",
}
NO_HTTP = {
    "aws_lambda_powertools.event_handler": "it answers no HTTP request: the resolver brings asyncio and OpenAPI",
    "aws_lambda_powertools.utilities.data_classes": "its event is read as the mapping it is",
    "asyncio": "nothing here is asynchronous",
}
NO_HUBSPOT = {
    "requests": "it calls HubSpot for nobody",
    "hubspot_api.client": "it calls HubSpot for nobody",
    "batch_create.handler": "it runs no request",
}
FORBIDDEN = {
    "webhook": NOBODY
    | {
        "aws_lambda_powertools.event_handler.openapi.models": "the interface's description is not generated",
        "aws_lambda_powertools.event_handler.openapi.params": "parameters are checked by model/validation.py",
        "aws_lambda_powertools.event_handler.openapi.swagger_ui": "no page of the description is served",
        "aws_lambda_powertools.event_handler.middlewares.openapi_validation": "validation.py names each bad field",
    },
    "consumer": NOBODY | NO_HTTP,
    "scheduled": NOBODY | NO_HTTP,
    "dead_letters": NOBODY | NO_HTTP,
    "sweep": NOBODY | NO_HTTP | NO_HUBSPOT,
    "dispatcher": NOBODY | NO_HTTP | NO_HUBSPOT,
}


@cache
def loaded(entry_point: str, ready: bool) -> frozenset[str]:
    """The names of all modules once an interpreter of its own has imported an entry point or, with `ready`, made what
    its first event needs."""
    program = f"import sys, {entry_point}\n{READY[entry_point] if ready else ''}\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**ENVIRONMENT, "PYTHONPATH": str(FUNCTIONS)},
        capture_output=True,
        text=True,
        check=True,
    )
    return frozenset(done.stdout.split())


def listed(entry_point: str, ready: bool) -> dict[str, list[str]]:
    """Our own modules, one by one, and the packages of others: their modules differ by Python's version."""
    modules = loaded(entry_point, ready)
    packages = {path.name.split(".")[0] for path in FUNCTIONS.iterdir() if path.name != "__pycache__"}
    ours = {name for name in modules if (name.partition(".")[0] in packages and "." in name) or name in packages}
    folders = {name for name in ours if (FUNCTIONS / name).is_dir()}
    # requests takes simplejson where it is installed, as with the tests' tools; a C extension leaves cython_runtime.
    known = {*sys.stdlib_module_names, *packages, "__main__", "sitecustomize", "simplejson", "cython_runtime"}
    others = {name.partition(".")[0] for name in modules} - known
    return {
        "ours": sorted(ours - folders),
        "packages": sorted(name for name in others if not name.startswith(("_", "__editable__"))),
    }


@pytest.mark.parametrize("state", ["imported", "ready"])
@pytest.mark.parametrize("entry_point", READY)
def test_an_entry_point_imports_exactly_what_is_listed(entry_point: str, state: str) -> None:
    # After a change that is meant: `python -m tests.unit.test_imports` writes the lists anew.
    assert listed(entry_point, state == "ready") == json.loads(LISTS.read_text())[entry_point][state]


@pytest.mark.parametrize("entry_point", FORBIDDEN)
def test_an_entry_point_imports_nothing_that_it_does_not_need(entry_point: str) -> None:
    found = loaded(entry_point, ready=True)

    told = {name: reason for name, reason in FORBIDDEN[entry_point].items() if name in found}

    assert entry_point in found
    assert told == {}


def test_no_entry_point_imports_another() -> None:
    for entry_point in READY:
        assert set(READY) & loaded(entry_point, ready=True) == {entry_point}


def test_every_entry_point_is_looked_at() -> None:
    with_handler = {
        path.stem for path in FUNCTIONS.glob("*.py") if "\ndef handler(" in path.read_text(encoding="utf-8")
    }

    assert set(FORBIDDEN) == set(READY) == with_handler


def test_every_forbidden_module_of_ours_and_of_powertools_could_be_imported() -> None:
    # Else a misspelt name would forbid nothing.
    names = sorted({name for forbidden in FORBIDDEN.values() for name in forbidden} - {"pydantic", "aws_xray_sdk"})
    program = "import sys; from importlib.util import find_spec; print(*[n for n in sys.argv[1:] if not find_spec(n)])"

    done = subprocess.run(
        [sys.executable, "-c", program, *names],
        env={"PYTHONPATH": str(FUNCTIONS)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == ""


if __name__ == "__main__":
    lists = {name: {state: listed(name, state == "ready") for state in ("imported", "ready")} for name in READY}
    LISTS.write_text(json.dumps(lists, indent=1) + os.linesep)
