"""One execution environment of Lambda: `python -m bench.worker MODULE TIMEOUT` invokes its `handler` for each event.

Events come as lines of JSON on standard input; for each a line tells what the handler returned, how long it took and
how much memory the process has needed so far. Runs with the standard library alone, under any contestant's Python.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any


class Context:
    """Lambda's context, as far as handlers and Powertools read it."""

    aws_request_id = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
    function_name = "function"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:function"

    def __init__(self, timeout: float) -> None:
        self._deadline = time.monotonic() + timeout

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the invocation would be ended."""
        return round((self._deadline - time.monotonic()) * 1000)


def peak_kib() -> int:
    """The most memory that this process has held, in KiB."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:  # no Linux
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux's ru_maxrss is never less than what the parent held when it started this process.
    return int(status.split("VmHWM:")[1].split()[0])


def invoke(handler: Any, event: Any, timeout: float, failed: Any) -> dict[str, Any]:
    """Invoke a handler once. `failed` is what comes back where it raises."""
    started, cpu = time.perf_counter(), time.process_time()
    try:
        returned = handler(event, Context(timeout))
    except Exception:  # noqa: BLE001 # of any kind: Lambda reports a failed invocation, whatever it was
        traceback.print_exc()
        returned = failed
    return {
        "returned": returned,
        "seconds": time.perf_counter() - started,
        "cpuSeconds": time.process_time() - cpu,
        "peakKiB": peak_kib(),
    }


def main(module: str, timeout: float) -> None:
    """Invoke until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is logged costs its writer, and nobody reads it
    handler: Any = import_module(module).handler
    print(json.dumps({"ready": True}), file=answers)
    for line in sys.stdin:
        event = json.loads(line)
        failed = {"batchItemFailures": [{"itemIdentifier": each["messageId"]} for each in event["Records"]]}
        print(json.dumps(invoke(handler, event, timeout, failed)), file=answers)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
