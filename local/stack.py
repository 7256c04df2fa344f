"""The whole service on one machine: `python -m local.stack up` and `down`. People use `make up` and `make down`."""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from infra.schedule_expression import explained_expression
from local import emulator
from local.deployment import ASSEMBLY, Cdk, DeploymentFailed, local_settings
from local.emulator import Aws
from local.hubspot.server import DEFAULT_TOKEN
from local.processes import HOST, ROOT, Server, ServerFailed, free_port, write_whole

FOLDER = ROOT / ".local"
STACK_FILE = FOLDER / "stack.json"
EMULATOR = Server(FOLDER, "emulator")
STANDIN = Server(FOLDER, "standin")
JOURNAL = "1000000"  # calls that the stand-in keeps; a fault campaign looks at every one
BOOTSTRAP_STACK = "CDKToolkit"
# The emulator unpacks some 4,000 files for each worker. On a disk mounted with `discard` removing them takes 20 seconds
# (measured), in memory a tenth of one. A stack at work needs up to 2 GB of it.
MEMORY = Path("/dev/shm")  # noqa: S108 - the name there is this checkout's, and nobody else may enter
MEMORY_NEEDED = 4 * 2**30  # bytes

console = Console(highlight=False, soft_wrap=True)


def up(port: int | None, hubspot_base_url: str | None, schedule: str | None, lock: int) -> None:
    """Start what does not run, deploy what changed, and write STACK_FILE. Raises ServerFailed, DeploymentFailed."""
    with step("AWS emulator"):
        aws = Aws(start_emulator(port))
    with step(f"HubSpot at {hubspot_base_url}" if hubspot_base_url else "HubSpot stand-in"):
        if hubspot_base_url:
            STANDIN.stop()
        hubspot = hubspot_base_url or start_standin()
    cdk = Cdk(aws.endpoint, FOLDER, lock)
    settings = local_settings(hubspot)
    if not aws.stack(BOOTSTRAP_STACK):
        with step("CDK's own stack"):
            cdk.bootstrap()
    with step("Template and packages"):
        cdk.synth(settings, schedule)
    with step("Deployment"):
        cdk.deploy()
    with step("Secrets"):
        outputs = aws.outputs(settings["stackName"])
        key = client_key()
        if key_hash(key) not in aws.secret(outputs["ClientsSecretName"]):  # else clients made since are kept
            aws.put_secret(outputs["ClientsSecretName"], clients_secret(key))
        if hubspot_base_url:
            # A token is of one account. Only the first portal has it, so that nothing is written for another.
            aws.put_secret(outputs["TokenSecretName"], os.environ.get("HUBSPOT_TOKEN", DEFAULT_TOKEN))
        else:
            for portal in settings["portals"]:
                aws.put_secret(f"{settings['secretPrefix']}/{portal}", DEFAULT_TOKEN)
    described = {
        "apiUrl": f"{aws.endpoint}/_aws/execute-api/{outputs['ApiId']}/{outputs['ApiStage']}",
        "clientKey": key,
        "queueUrl": outputs["QueueUrl"],
        "deadLetterQueueUrl": outputs["DeadLetterQueueUrl"],
        "outcomesTable": outputs["OutcomesTable"],
        "awsEndpointUrl": aws.endpoint,
        "region": emulator.REGION,
        "hubspotBaseUrl": hubspot,
        "tokenSecretName": outputs["TokenSecretName"],
    }
    write_whole(STACK_FILE, json.dumps(described, indent=2) + "\n")


def start_emulator(port: int | None) -> str:
    """The address of this checkout's emulator, started unless it runs on that port. Raises ServerFailed."""
    running = EMULATOR.running()
    if running and port in {None, running.port}:
        return f"http://{HOST}:{running.port}"
    EMULATOR.stop()
    STACK_FILE.unlink(missing_ok=True)  # what it describes has ended with the emulator
    port = port or free_port()
    forget_files()  # left behind by an emulator that was killed
    files = emulator_files()
    files.mkdir(mode=0o700)
    EMULATOR.start(emulator.COMMAND, emulator.settings(files, port), port, "", emulator.HEALTH)
    return f"http://{HOST}:{port}"


def emulator_files() -> Path:
    """Where the emulator keeps its files: in memory where there is plenty, else in FOLDER."""
    plenty = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > MEMORY_NEEDED
    return _files_in_memory() if plenty else FOLDER / "emulator"


def forget_files() -> None:
    """Remove what an emulator has left, wherever it was."""
    for files in (_files_in_memory(), FOLDER / "emulator"):
        if files.exists():
            shutil.rmtree(files)


def _files_in_memory() -> Path:
    return MEMORY / f"association-limits-{hashlib.sha256(bytes(ROOT)).hexdigest()[:16]}"


def start_standin() -> str:
    """The address of this checkout's HubSpot stand-in, started anew where its code has changed. Raises ServerFailed."""
    running = STANDIN.running()
    checks = (ROOT / "infra/checks.py", ROOT / "functions/model/validation.py")
    code = b"".join(path.read_bytes() for path in (*sorted((ROOT / "local/hubspot").glob("*.py")), *checks))
    made_from = hashlib.sha256(code + JOURNAL.encode()).hexdigest()
    if running and running.made_from == made_from:
        return f"http://{HOST}:{running.port}"
    STANDIN.stop()
    port = running.port if running else free_port()
    command = [sys.executable, "-m", "local.hubspot", "--port", str(port), "--journal", JOURNAL]
    STANDIN.start(command, {}, port, made_from, "/_standin/health")
    return f"http://{HOST}:{port}"


def client_key() -> str:
    """The key that this stack's callers already have, or a new one."""
    if STACK_FILE.exists():
        return str(json.loads(STACK_FILE.read_text())["clientKey"])
    return secrets.token_urlsafe(32)


def clients_secret(key: str) -> str:
    """The secret by which the service knows the one client of this stack: it may use every portal."""
    client = {"name": "local", "keySha256": [key_hash(key)], "portals": ["*"], "mayReplay": True}
    return json.dumps({"clients": [client]})


def key_hash(key: str) -> str:
    """What a secret with clients holds of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def down() -> None:
    """Stop everything and remove what it left, but for the built packages. Raises ServerFailed."""
    stopped = [server.name for server in (STANDIN, EMULATOR) if server.stop()]
    forget_files()
    for path in FOLDER.iterdir():
        if path.name != ASSEMBLY:  # it describes nothing that ran, and spares the next `up` the building
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    console.print(f"down: stopped {' and '.join(stopped)}." if stopped else "down: nothing was up.")


@contextmanager
def step(title: str) -> Iterator[None]:
    """Show that a step runs, where somebody looks on, and then what it took."""
    started = time.monotonic()
    with console.status(title):
        yield
    console.print(f"up: {title}  {time.monotonic() - started:.1f} s")


@contextmanager
def exclusive() -> Iterator[int]:
    """Wait until no other `up` or `down` of this checkout runs, and keep them waiting. Yields the lock's descriptor."""
    FOLDER.mkdir(mode=0o700, exist_ok=True)  # the client key is in it
    lock = os.open(FOLDER, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        console.print("Waiting for another `make up` or `make down` of this checkout to end ...")
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield lock
    finally:
        os.close(lock)


def _expression(text: str) -> str:
    try:
        return explained_expression(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def main() -> None:
    """Run `up` or `down`. Exits 1 with the reason where it fails."""
    parser = argparse.ArgumentParser(prog="python -m local.stack", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up_parser = commands.add_parser("up", help="start, or update what runs")
    up_parser.add_argument("--port", type=int, help="the emulator's port on 127.0.0.1 (default: any free one)")
    up_parser.add_argument(
        "--hubspot-base-url", help="a HubSpot to use instead of the stand-in; its token in $HUBSPOT_TOKEN"
    )
    up_parser.add_argument(
        "--schedule",
        type=_expression,
        help="when all requests' schedules run, instead of their own, such as 'rate(1 minute)'",
    )
    commands.add_parser("down", help="stop everything")
    options = parser.parse_args()
    emulator.isolate()
    try:
        with exclusive() as lock:
            if options.command == "down":
                return down()
            started = time.monotonic()
            up(options.port, options.hubspot_base_url and options.hubspot_base_url.rstrip("/"), options.schedule, lock)
            console.print(f"up: ready after {time.monotonic() - started:.0f} s. Addresses and key: {STACK_FILE}")
    except (ServerFailed, DeploymentFailed) as failure:
        console.print(f"{options.command}: {failure}", markup=False)
        if options.command == "up":
            console.print("up: what was started still runs. Run it again once mended, or stop all with `make down`.")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)  # as a shell reports Ctrl-C


if __name__ == "__main__":
    main()
