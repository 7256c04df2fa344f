"""Measure 1: from a fresh interpreter to the first request, in milliseconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from bench import fresh, target
from bench.checkout import HERE, Checkout
from bench.first import Aws, FirstRequest, aws
from bench.picture import bars
from bench.report import Figure, Picture, Ratio, Section
from bench.turns import in_turn
from local.processes import ROOT

RUNS, QUICK_RUNS = 40, 5
PROGRAM = """
import time
started = time.perf_counter()
{imports}
imported = time.perf_counter()
{clients}
print(imported - started, time.perf_counter() - started)
"""
# What the first event of each entry point makes on its way to the first request. A later commit that has this one for
# its base asks for it by this name.
ENTRY_POINTS = {
    "consumer": "from production import production; production()",
    "scheduled": "from production import production; production()",
    "webhook": "from production import production; production()",
    "dead_letters": "from production import production; production()",
    "sweep": "from production import history, ledger, queue; ledger(); history(); queue()",
}
FLOOR = "(b) boto3 and requests"
COMPILED = "(b) compiled as ours is"
FRAME = "boto3, requests, Powertools and voluptuous alone, in our bundle"
SDK = "(a) hubspot-sdk"
API_CLIENT = "(a) hubspot-api-client"
# The most that `ready` may take of the floor's.
OF_FLOOR = {"consumer": 0.42, "scheduled": 0.42, "webhook": 0.49, "sweep": 0.35, "dead_letters": 0.42}
OF_BASE = 0.87  # the most that the first request may take of the base's
TEXT = f"""
`python -B`, so that nothing is written, as on Lambda's read-only disk; every file dated 1980, as CDK's archives date
them, by which the bytecode that pip leaves is stale. *Import* ends when the module is there, *ready* when the clients
are made that its first event needs: DynamoDB, Secrets Manager and HubSpot. *First request* is of interpreters of their
own, which call the handler with a real event: it ends when that is read, authenticated, claimed and planned, and
HubSpot is about to be called (its name is looked up), and for `sweep`, which does not call HubSpot,
when its first write comes to AWS. That is bench/aws.py, which answers at once; it is empty each time but for secrets,
and for the sweep an outcome that is stuck.

Targets against (b) and (a) hold for *ready*. Runs of all take turns, the first of each does not count, and files are
read from memory. Our bundle is `make deploy`'s, built for this machine; that of a base is built by the base's own code.
{FLOOR} are what pip installs, with clients for DynamoDB and Secrets Manager. (a) are the handlers
in `bench/peers/`, up to the method that sends. For `hubspot-api-client` there is no target: it imports no more than
(b) and Powertools do for the path it is used for here, and our frame alone, without a line of ours, takes about
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

    def run(self) -> dict[str, float]:
        """Milliseconds until imported, and until ready."""
        program = PROGRAM.format(imports=self.imports, clients=self.clients)
        imported, ready = map(float, fresh.said(program, self.path, self.environment).split())
        return {"import": imported * 1000, "ready": ready * 1000}


def measure(quick: bool, base: Checkout | None = None) -> Section:
    """Every entry point of ours beside the base's, the floor and the handlers on HubSpot's SDKs."""
    with aws() as answering:
        cases = _cases(answering, base)
        runs: dict[tuple[str, str], list[float]] = {}
        for number in range((QUICK_RUNS if quick else RUNS) + 1):
            for case in in_turn(cases, number):
                for what, taken in case.run().items():
                    of_case = runs.setdefault((case.name, what), [])
                    if number:
                        of_case.append(taken)
    figures = {key: Figure(": ".join(key), "ms", tuple(taken)) for key, taken in runs.items()}
    ready = {name: figure for (name, what), figure in figures.items() if what == "ready"}
    first = {name: figure for (name, what), figure in figures.items() if what == "first request"}
    targets = [
        *((name, FLOOR, most) for name, most in OF_FLOOR.items()),
        *((name, SDK, 0.3) for name in ("consumer", "scheduled")),
        *((name, API_CLIENT, None) for name in ("consumer", FRAME)),
        *((name, COMPILED, None) for name in ("consumer", FRAME)),
    ]
    ratios = [Ratio(f"{name} against {peer}", ready[name], ready[peer], most) for name, peer, most in targets]
    if base:
        for of, what, most in ((first, "first request", OF_BASE), (ready, "ready", None)):
            pairs = [(name, of[name], of[f"{base.label}{name}"]) for name in ENTRY_POINTS]
            ratios += [Ratio(f"{name}: {what}, head / base", ours, its, most) for name, ours, its in pairs]
    pictures = (
        _picture("cold-start", "From a fresh interpreter until its clients are made", ready),
        _picture("first-request", "From a fresh interpreter to the first request", first),
    )
    listed = [figure for name in ready for (of, _), figure in figures.items() if of == name]
    return Section("Cold start", TEXT.strip(), tuple(listed), tuple(ratios), pictures)


def _picture(name: str, title: str, figures: dict[str, Figure]) -> Picture:
    return Picture(name, bars(title, "ms", [(of, figure.median, figure.interval) for of, figure in figures.items()]))


def _cases(answering: Aws, base: Checkout | None) -> list[Case | FirstRequest]:
    bundle = target.ours("host", HERE)
    here = _of_bundle(HERE, bundle, answering)
    its = _of_bundle(base, target.ours("host", base), answering) if base else []
    # Side by side, so that both meet the machine as it is in the same second.
    compared = [case for pair in zip_longest(here, its) for case in pair if case]
    return [*compared, *_others(bundle / "layer/python")]


def _of_bundle(checkout: Checkout, bundle: Path, answering: Aws) -> list[Case | FirstRequest]:
    """Until ready and until the first request, of each entry point."""
    path = (bundle / "code", bundle / "layer/python")
    entry_points = target.entry_points(checkout)
    webhook = FirstRequest(f"{checkout.label}webhook", "webhook", path, entry_points["webhook"].environment, answering)
    items = {"sweep": tuple(webhook.stuck())}
    cases: list[Case | FirstRequest] = []
    for module, told in sorted(entry_points.items()):
        name = f"{checkout.label}{module}"
        cases += [
            Case(name, path, f"import {module}", told.clients, told.environment),
            FirstRequest(name, module, path, told.environment, answering, items.get(module, ())),
        ]
    return cases


def _others(layer: Path) -> list[Case]:
    """The frame, the floor and the handlers on HubSpot's SDKs."""
    floor = "import boto3, requests", "boto3.client('dynamodb'); boto3.client('secretsmanager')"
    frame = "import aws_lambda_powertools, boto3, requests, voluptuous; voluptuous.Schema({'number': int})"
    client = "HubSpot(access_token='none', base_url='https://api.hubapi.com')"
    plain = target.installed(["boto3", "requests"])
    sdk = target.installed(["boto3", "aws-lambda-powertools", "hubspot-sdk"])
    api_client = target.installed(["boto3", "aws-lambda-powertools", "hubspot-api-client"])
    return [
        Case(FRAME, (layer,), frame, floor[1]),
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
