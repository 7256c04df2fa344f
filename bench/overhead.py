"""Measure 4: what the service adds to a call of HubSpot, against the two writes that its ledger cannot do without."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles

import boto3

from bench.checkout import HERE, Checkout
from bench.report import Figure, Ratio, Section
from bench.stage import TOKEN_SECRET_PREFIX, Stage, stage
from bench.traffic import types
from bench.turns import in_turn
from local import emulator
from local.processes import ROOT, Server, free_port
from tests.support.aws import client, clients_secret, make_table

NO_QUOTA = "1000000"  # calls in ten seconds: requests one after the other are never to wait for their turn
NAMES = {
    "run": "through run",
    "webhook": "through the webhook's handler",
    "post": "a bare requests.post",
    "writes": "the two bare writes",
}
TEXT = """\
Requests of one input one after the other in one process, each followed by a bare `requests.post` of a kept session to
the same stand-in (which answers at once), and by the two bare writes: a conditional put of the item as it was claimed
and a conditional update to the item as it was settled, with the same bytes. The ledger is the emulator of `make up`.
Calls that write are counted where botocore sends them: one claims a request and takes its pair, one settles it
and gives the pair back. With a base, processes of both take turns, each with its own
`bench.synchronous`, over the same emulator and stand-in."""


def measure(quick: bool, base: Checkout | None = None) -> Section:
    """Milliseconds of each way, and the writes of a request; with a base, in turns with its `run`."""
    count, runs = (50, 2) if quick else (200, 6)
    checkouts = [each for each in (HERE, base) if each]
    turns: dict[Checkout, list[dict[str, list[float]]]] = {each: [] for each in checkouts}
    with stage(types(1), latencyMs=0, tenSecondlyLimit=None) as set_up, emulated(set_up) as environment:
        for number in range(runs):
            for checkout in in_turn(checkouts, number):
                turns[checkout].append(_in_a_process(count, environment, checkout))
    told = turns[HERE]
    figures = []
    for name, meaning in NAMES.items():
        for percent in (50, 99):
            values = tuple(_percentile(each[name], percent) for each in told)
            figures.append(Figure(f"{meaning}, p{percent}", "ms", values))
    posts, writes = figures[4], figures[6]
    over = [
        _beyond(f"{NAMES[name]}, beyond the post, p50", figures[at], posts) for name, at in (("run", 0), ("webhook", 2))
    ]
    requests = Figure("requests of ours", "", tuple(len(each["run"] + each["webhook"]) for each in told))
    ledger = Figure("writing calls of the ledger", "", tuple(each["ledgerWrites"][0] for each in told))
    bucket = Figure("writes of the token bucket", "", tuple(each["bucketWrites"][0] for each in told))
    ratios = [
        Ratio("run beyond the post / two bare writes, p50", over[0], writes, 1.3),
        Ratio("webhook beyond the post / two bare writes, p50", over[1], writes, None),
        Ratio("writing calls of the ledger for a request", ledger, requests, 2),
        Ratio("writes of the token bucket for a call", bucket, requests, 0.1),
    ]
    if base:
        run, post = (
            Figure(f"{base.label}{NAMES[name]}, p50", "ms", tuple(_percentile(each[name], 50) for each in turns[base]))
            for name in ("run", "post")
        )
        its = _beyond(f"{base.label}{NAMES['run']}, beyond the post, p50", run, post)
        over.append(its)
        ratios.append(Ratio("run beyond the post, p50, head / base", over[0], its, 1.15))
    return Section("Overhead of a synchronous request", TEXT, (*figures, *over), tuple(ratios), ())


def _beyond(name: str, ours: Figure, post: Figure) -> Figure:
    return Figure(name, "ms", tuple(one - other for one, other in zip(ours.values, post.values, strict=True)))


def _percentile(values: Sequence[float], percent: int) -> float:
    return quantiles(values, n=100, method="inclusive")[percent - 1]


def _in_a_process(count: int, environment: dict[str, str], checkout: Checkout) -> dict[str, list[float]]:
    told: dict[str, list[float]] = json.loads(checkout.said("-m", "bench.synchronous", str(count), **environment))
    return told


@contextmanager
def emulated(of: Stage) -> Iterator[dict[str, str]]:
    """An emulator with the table and the secrets; the environment variables of functions that use it."""
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=ROOT / ".local"))
    server, port = Server(folder, "emulator"), free_port()
    server.start(emulator.COMMAND, emulator.settings(folder, port), port, "", emulator.HEALTH)
    try:
        environment = of.environment() | emulator.credentials(f"http://127.0.0.1:{port}")
        session = boto3.session.Session(
            aws_access_key_id=emulator.ACCOUNT, aws_secret_access_key="local", region_name=emulator.REGION
        )
        endpoint = environment["AWS_ENDPOINT_URL"]
        make_table(session.client("dynamodb", endpoint_url=endpoint), environment["OUTCOMES_TABLE"])
        secrets = session.client("secretsmanager", endpoint_url=endpoint)
        secrets.create_secret(Name=f"{TOKEN_SECRET_PREFIX}/default", SecretString=of.token)
        secrets.create_secret(Name=environment["CLIENTS_SECRET"], SecretString=clients_secret(client("crm")))
        yield environment | {"QUOTA_CALLS": NO_QUOTA}
    finally:
        server.stop()
        shutil.rmtree(folder)
