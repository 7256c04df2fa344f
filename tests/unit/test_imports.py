"""What an entry point must not import, by name: each import is paid for at every cold start."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

FUNCTIONS = Path(__file__).resolve().parents[2] / "functions"

NOBODY = {
    "boto3": "botocore makes clients without its resources and sessions",
    "s3transfer": "nothing is copied from or to S3",
    "aws_lambda_powertools.utilities.batch": "consumer.py has the acknowledgement contract in ten lines",
    "aws_lambda_powertools.utilities.idempotency": "claims in the ledger are our idempotency",
    "aws_lambda_powertools.utilities.parameters": "secrets have one memory, secret_store.py",
    "aws_lambda_powertools.utilities.parser": "contract.py has the types",
    "pydantic.deprecated": "of version 1",
    "pydantic.mypy": "a plugin of the type checker",
    "pydantic.v1": "version 1 as a whole",
    "unittest": "for tests",
}
NO_HTTP = {
    "aws_lambda_powertools.event_handler": "it answers no HTTP request: the resolver brings asyncio and OpenAPI",
    "aws_lambda_powertools.utilities.data_classes": "its event is read as the mapping it is",
    "asyncio": "nothing here is asynchronous",
    "clients": "it has no callers to know",
    "webhook": "another entry point",
    "replies": "it answers no HTTP request",
}
NO_HUBSPOT = {
    "batch_create.handler": "it runs no request",
    "batch_create.calls": "it calls HubSpot for nobody",
}
FORBIDDEN = {
    "webhook": NOBODY
    | {
        "aws_lambda_powertools.event_handler.openapi.models": "the interface's description is not generated",
        "aws_lambda_powertools.event_handler.openapi.params": "parameters are checked by contract.py and queries.py",
        "aws_lambda_powertools.event_handler.openapi.swagger_ui": "no page of the description is served",
        "aws_lambda_powertools.event_handler.middlewares.openapi_validation": "contract.py names every bad field",
        "consumer": "another entry point",
        "envelopes": "it reads no message",
    },
    "consumer": NOBODY | NO_HTTP | {"scheduled": "another entry point"},
    "scheduled": NOBODY | NO_HTTP | {"consumer": "another entry point"},
    "dead_letters": NOBODY | NO_HTTP | NO_HUBSPOT,
    "sweep": NOBODY | NO_HTTP | NO_HUBSPOT | {"envelopes": "it reads no message"},
}


@cache
def imported_by(entry_point: str) -> frozenset[str]:
    """The names of all modules that are there once an interpreter of its own has imported an entry point."""
    done = subprocess.run(
        [sys.executable, "-c", f"import {entry_point}, sys; print(*sys.modules)"],
        env={"PYTHONPATH": str(FUNCTIONS), "PYDANTIC_DISABLE_PLUGINS": "__all__"},
        capture_output=True,
        text=True,
        check=True,
    )
    return frozenset(done.stdout.split())


@pytest.mark.parametrize("entry_point", FORBIDDEN)
def test_an_entry_point_imports_nothing_that_it_does_not_need(entry_point: str) -> None:
    found = imported_by(entry_point)

    told = {name: reason for name, reason in FORBIDDEN[entry_point].items() if name in found}

    assert entry_point in found
    assert told == {}


def test_every_entry_point_is_looked_at() -> None:
    with_handler = {
        path.stem for path in FUNCTIONS.glob("*.py") if "\ndef handler(" in path.read_text(encoding="utf-8")
    }

    assert set(FORBIDDEN) == with_handler


def test_every_forbidden_module_of_a_package_could_be_imported() -> None:
    # Else a misspelt name would forbid nothing.
    names = sorted({name for forbidden in FORBIDDEN.values() for name in forbidden})
    program = "import sys; from importlib.util import find_spec; print(*[n for n in sys.argv[1:] if not find_spec(n)])"

    done = subprocess.run(
        [sys.executable, "-c", program, *names],
        env={"PYTHONPATH": str(FUNCTIONS)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == ""
