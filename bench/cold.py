"""Measure 1: from a fresh interpreter to the first request, in milliseconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import aws_cdk as cdk
from aws_cdk.assertions import Template

from app import build
from bench import target
from bench.picture import bars
from bench.report import Figure, Picture, Ratio, Section
from infra.config import Settings
from local.processes import ROOT

RUNS, QUICK_RUNS = 15, 5
PROGRAM = """
import time
started = time.perf_counter()
{imports}
imported = time.perf_counter()
{clients}
print(imported - started, time.perf_counter() - started)
"""
# Nobody is asked for anything: clients are made, and no call is.
AWS = {
    "AWS_REGION": "eu-central-1",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "HUBSPOT_BASE_URL": "https://api.hubapi.com",
}
# What the first event of each entry point makes on its way to the first request.
ENTRY_POINTS = {
    "consumer": "from production import production; production()",
    "scheduled": "from production import production; production()",
    "webhook": "from production import production; production()",
    "dead_letters": "from production import ledger; ledger()",
    "sweep": "from production import history, ledger, queue; ledger(); history(); queue()",
}
FLOOR = "(b) boto3 and requests"
COMPILED = "(b) compiled as ours is"
FRAME = "botocore, requests, pydantic and Powertools alone, in our bundle"
SDK = "(a) hubspot-sdk"
API_CLIENT = "(a) hubspot-api-client"
TEXT = f"""
`python -B`, so that nothing is written, as on Lambda's read-only disk; every file dated 1980, as CDK's archives date
them, by which the bytecode that pip leaves is stale. *Import* ends when the module is there, *ready* when the clients
are made that its first event needs: DynamoDB, Secrets Manager and HubSpot. The targets hold for *ready*. Runs of all
take turns, the first of each does not count, and files are read from memory. Our bundle is `make deploy`'s, built for
this machine. {FLOOR} are what pip installs, with clients for DynamoDB and Secrets Manager. (a) are the handlers
in `bench/peers/`, up to the method that sends. For `hubspot-api-client` there is no target: it imports no more than
(b) and Powertools do for the path it is used for here, and our frame alone, without a line of ours, takes more than
0.3 of it.
"""


@dataclass(frozen=True)
class Case:
    """What is imported from where, and then made."""

    name: str
    path: tuple[Path, ...]
    imports: str
    clients: str
    environment: dict[str, str] = field(default_factory=dict)

    def run(self) -> tuple[float, float]:
        """Milliseconds until imported, and until ready."""
        base = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
        program = PROGRAM.format(imports=self.imports, clients=self.clients)
        environment = {**AWS, **self.environment, "PYTHONPATH": os.pathsep.join(map(str, self.path))}
        command = [str(base), "-B", "-S", "-s", "-c", program]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        imported, ready = map(float, done.stdout.split())
        return imported * 1000, ready * 1000


def measure(quick: bool) -> Section:
    """Every entry point of ours beside the floor and the handlers on HubSpot's SDKs."""
    cases = _cases()
    runs: dict[str, list[tuple[float, float]]] = {case.name: [] for case in cases}
    for number in range((QUICK_RUNS if quick else RUNS) + 1):
        for case in cases:
            taken = case.run()
            if number:
                runs[case.name].append(taken)
    imported = {name: Figure(f"{name}: import", "ms", tuple(one for one, _ in taken)) for name, taken in runs.items()}
    ready = {name: Figure(f"{name}: ready", "ms", tuple(one for _, one in taken)) for name, taken in runs.items()}
    targets = [
        *((name, FLOOR, 0.6) for name in ("consumer", "scheduled")),
        ("webhook", FLOOR, 0.9),
        *((name, SDK, 0.3) for name in ("consumer", "scheduled")),
        *((name, API_CLIENT, None) for name in ("consumer", FRAME)),
        *((name, COMPILED, None) for name in ("consumer", FRAME)),
    ]
    ratios = [Ratio(f"{name} against {peer}", ready[name], ready[peer], most) for name, peer, most in targets]
    shown = [(name, figure.median, figure.spread) for name, figure in ready.items()]
    picture = Picture("cold-start", bars("From a fresh interpreter to the first request", "ms", shown))
    figures = [figure for name in ready for figure in (imported[name], ready[name])]
    return Section("Cold start", TEXT.strip(), tuple(figures), tuple(ratios), (picture,))


def _cases() -> list[Case]:
    bundle = target.ours(Settings(bundling="host"))
    path = (bundle / "code", bundle / "layer/python")
    environments = _environments()
    entry_points = [
        Case(name, path, f"import {name}", clients, environments[f"{name}.handler"])
        for name, clients in ENTRY_POINTS.items()
    ]
    floor = "import boto3, requests", "boto3.client('dynamodb'); boto3.client('secretsmanager')"
    frame = (
        "import aws_lambda_powertools, botocore.session, pydantic, requests; pydantic.create_model('One', number=int)"
    )
    two = "session = botocore.session.get_session(); [session.create_client(n) for n in ('dynamodb', 'secretsmanager')]"
    client = "HubSpot(access_token='none', base_url='https://api.hubapi.com')"
    plain = target.installed(["boto3", "requests"])
    sdk = target.installed(["boto3", "aws-lambda-powertools", "hubspot-sdk"])
    api_client = target.installed(["boto3", "aws-lambda-powertools", "hubspot-api-client"])
    return [
        *entry_points,
        Case(FRAME, path[1:], frame, two, {"PYDANTIC_DISABLE_PLUGINS": "__all__"}),
        Case(FLOOR, (plain,), *floor),
        Case(COMPILED, (target.compiled(plain),), *floor),
        # The handlers are read from the checkout, whose few lines take no time that could be seen.
        Case(
            SDK,
            (ROOT, sdk),
            "from bench.peers import sdk",
            f"sdk.{client}.crm.associations_schema.labels.batch_create",
        ),
        Case(API_CLIENT, (ROOT, api_client), "from bench.peers import api_client", f"api_client.{client}.api_request"),
    ]


def _environments() -> dict[str, dict[str, str]]:
    """What cdk.json gives each function, by handler; what only a deployment knows is a word."""
    with tempfile.TemporaryDirectory() as folder:
        context = json.loads((ROOT / "cdk.json").read_text())["context"]
        stack = build(cdk.App(outdir=folder, context={**context, "aws:cdk:bundling-stacks": []}))
        functions = Template.from_stack(stack).find_resources("AWS::Lambda::Function").values()
    return {
        function["Properties"]["Handler"]: {
            name: value if isinstance(value, str) else "known-when-deployed"
            for name, value in function["Properties"]["Environment"]["Variables"].items()
        }
        for function in functions
    }
