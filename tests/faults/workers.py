"""Workers of our own: the real consumer with the deployed function's environment, each in a process of its own.

All are forked from one process that has imported everything, so that each costs little.
"""

from __future__ import annotations

import http.client
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from multiprocessing import forkserver, get_context
from multiprocessing.connection import Connection
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import consumer
from aws.sqs import VERIFY
from batch_create.dependencies import Dependencies
from batch_create.ports import Point
from local import emulator
from production import production
from tests.e2e.deployed import LocalStack
from tests.support.events import Context, attributes, sqs_event

Event = dict[str, Any]
ARRIVING = 0.3  # seconds until a call that was sent has arrived; its answer must be ordered to take longer
RESERVE = consumer.RESERVE  # seconds of an invocation
READ_LAG = 5.0  # seconds, where the stand-in has none: so that what became of a call is known early

PROCESSES = get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__])


def environment(local: LocalStack) -> dict[str, str]:
    """The environment variables of the deployed consumer and of whoever talks to the emulator. From here on there is
    a process with these from which workers are forked: what it imports reads some of them."""
    variables = emulator.credentials(local["awsEndpointUrl"])
    variables |= local.function("consumer.handler")["Environment"]["Variables"]
    variables["READ_LAG_SECONDS"] = f"{READ_LAG:g}"
    with mock.patch.dict(os.environ, variables):
        forkserver.ensure_running()
    return variables


def event_of(envelopes: dict[str, dict[str, Any]], sent_at: float, receives: int = 1) -> Event:
    """The SQS event with one message for each envelope, by the messages' ids; however often one comes, it was sent at
    one time (epoch seconds)."""
    sent = {"SentTimestamp": str(int(sent_at * 1000)), "ApproximateReceiveCount": str(receives)}
    event = sqs_event(*({"messageId": message_id, "body": body} for message_id, body in envelopes.items()))
    for record in event["Records"]:
        record["attributes"] |= sent
    return event


def verification_of(pairs: Iterable[str]) -> Event:
    """The SQS event by which the sweep asks for readings of pairs, each `portal#from#to`."""
    return sqs_event(
        *({"body": "a pair to be verified", "messageAttributes": attributes(**{VERIFY: p})} for p in pairs)
    )


@dataclass(frozen=True)
class Work:
    """One invocation: of so many seconds, that dies at a point if one is given."""

    event: Event
    seconds: float
    die_at: Point | None = None


def alone(variables: dict[str, str]) -> None:
    """Make this process a worker of the deployed function, whose log nobody reads."""
    emulator.isolate()
    os.environ.update(variables)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def consume(work: Work) -> list[str]:
    """Run one invocation in this process: the ids of the messages that it gives back."""
    context: Any = Context(time_left=int(work.seconds * 1000))
    answer = consumer.handler(work.event, context)
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def worker(variables: dict[str, str], work: Work, answers: Connection) -> None:
    """The whole life of a worker that does one thing: it answers with what it gives back, if it lives so long."""
    alone(variables)
    if work.die_at:
        ports = _mortal(production(), work.die_at, str(urlsplit(variables["HUBSPOT_BASE_URL"]).port))
        vars(consumer)["production"] = lambda: ports
    try:
        answers.send(consume(work))
    except Exception:  # of any kind: its process has no other way to tell, and it is raised on
        answers.send(traceback.format_exc())
        raise


def loop(variables: dict[str, str], orders: Connection) -> None:
    """A worker that lives on: it takes (work, moment), begins at that moment, and answers each with what it returns."""
    alone(variables)
    while order := orders.recv():
        work, begin = order
        while time.time() < begin:
            pass  # to the very moment, for somebody else begins at it too
        orders.send(consume(work))


def invoke(variables: dict[str, str], work: Work) -> list[str] | None:
    """Run one worker to its end: what it gives back, or None where it was killed before it could."""
    ours, theirs = PROCESSES.Pipe()
    process = PROCESSES.Process(target=worker, args=(variables, work, theirs))
    process.start()
    theirs.close()
    try:
        # Its exit status would say the same, but is lost now and then where several threads wait for processes.
        answer: list[str] | str = ours.recv()
    except EOFError:
        return None
    finally:
        process.join()
    assert isinstance(answer, list), answer
    return answer


def _mortal(dependencies: Dependencies, point: Point, hubspot_port: str) -> Dependencies:
    """The same ports, whose worker is killed as soon as it reaches a point."""
    if point is Point.AFTER_SEND:
        _die_waiting(hubspot_port)
        return dependencies

    def reached(passed: Point) -> None:
        if passed is point:
            _die()

    return replace(dependencies, reached=reached)


def _die_waiting(hubspot_port: str) -> None:
    """Let the worker be killed while it waits for HubSpot's answer to its first call."""
    wait: Callable[[http.client.HTTPConnection], http.client.HTTPResponse] = http.client.HTTPConnection.getresponse

    def getresponse(connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
        if str(connection.port) == hubspot_port:
            time.sleep(ARRIVING)
            _die()
        return wait(connection)

    mock.patch.object(http.client.HTTPConnection, "getresponse", getresponse).start()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
