"""Many execution environments of a function: `python -m bench.prefork MODULE TIMEOUT` forks one whenever it is told to.

Standard input is a socket. With each byte comes the socket of an environment: a process that has imported the module,
and answers each event, a line of JSON, as bench/worker.py does. Imported once and forked, a hundred environments take
seconds and little memory; imported by each, they would take minutes, and gigabytes. Nothing of the function has run
before the fork, so that each makes its own clients. Runs with the standard library alone, under any checkout's Python.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
from importlib import import_module
from typing import Any

from bench.worker import invoke

FAILED = {"statusCode": 502, "multiValueHeaders": {}, "body": ""}  # API Gateway's answer when an invocation fails


def serve(connection: socket.socket, handler: Any, timeout: float) -> None:
    """Be an execution environment until the other end is closed."""
    with connection, connection.makefile("rw") as lines:
        for line in lines:
            lines.write(json.dumps(invoke(handler, json.loads(line), timeout, FAILED)) + "\n")
            lines.flush()


def main(module: str, timeout: float) -> None:
    """Fork until standard input ends."""
    with os.fdopen(os.dup(1), "w") as ready:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is logged costs its writer, and nobody reads it
        handler: Any = import_module(module).handler
        gc.collect()
        gc.freeze()  # a collection in an environment would copy what it shares with the others
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
        print(json.dumps({"ready": True}), file=ready)
    with socket.socket(fileno=0) as control:
        while descriptors := socket.recv_fds(control, 1, 1)[1]:
            with socket.socket(fileno=descriptors[0]) as connection:
                if os.fork() == 0:
                    control.close()
                    serve(connection, handler, timeout)
                    os._exit(0)  # none of the parent's work is this process's


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
