"""The hourly sweep, with its clock moved on instead of waiting: the real function, against the real table and queue."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta

from local import emulator
from local.processes import ROOT
from tests.e2e.deployed import LocalStack

AHEAD = timedelta(minutes=45)  # more than the half hour after which an outcome counts as stuck


def sweep(local: LocalStack) -> int:
    """How many outcomes the sweep has put back on the queue. In a process of its own, as its clock is a lie."""
    environment = {
        **os.environ,
        **emulator.credentials(local["awsEndpointUrl"]),
        **local.function("sweep.handler")["Environment"]["Variables"],
        "PYTHONPATH": f"{ROOT / 'functions'}{os.pathsep}{ROOT}",
    }
    command = [sys.executable, "-m", "tests.faults.swept"]
    ran = subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    answer = json.loads(ran.stdout.splitlines()[-1])
    return int(answer["swept"])


def _main() -> None:
    # Here, as these read the environment of a function.
    import sweep as function
    from production import now
    from tests.support.events import Context

    vars(function)["now"] = lambda: now() + AHEAD
    print(json.dumps(function.handler({}, Context(time_left=300_000))))


if __name__ == "__main__":
    _main()
