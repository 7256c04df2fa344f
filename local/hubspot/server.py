"""A stateful stand-in for HubSpot's association-limits API, for tests and rehearsals on one machine.

Run it with `python -m local.hubspot --port 8400`; docs/standin.md tells its switches and faults.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import time
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from local.hubspot.access import Token
from local.hubspot.answers import Answer, HubSpotError, not_found, wrong_method
from local.hubspot.connection import EndableProtocol, response
from local.hubspot.control import ACTIONS, Action, Control, control
from local.hubspot.journal import KEPT_ENTRIES
from local.hubspot.service import Call, StandIn

if TYPE_CHECKING:
    from collections.abc import Sequence

HOST = "127.0.0.1"
DEFAULT_TOKEN = "standin-token"
# Far above the largest batch HubSpot could take, and small enough to hold.
MAX_BODY_BYTES = 1024 * 1024

Sleep = Callable[[float], Awaitable[None]]
Later = Callable[[float, Callable[[], None]], object]
Answered = Callable[[Call], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]

_CONTROL = "/_standin/"
_CONFIGURATIONS = "/crm/associations/{version}/definitions/configurations"
# Method, path, operation.
ROUTES = (
    ("GET", f"{_CONFIGURATIONS}/all", "read"),
    ("GET", f"{_CONFIGURATIONS}/{{from_type}}/{{to_type}}", "read"),
    ("POST", f"{_CONFIGURATIONS}/{{from_type}}/{{to_type}}/batch/create", "create"),
    ("POST", f"{_CONFIGURATIONS}/{{from_type}}/{{to_type}}/batch/update", "update"),
    ("POST", f"{_CONFIGURATIONS}/{{from_type}}/{{to_type}}/batch/purge", "purge"),
    ("GET", "/crm/associations/{version}/{from_type}/{to_type}/labels", "labels"),
    ("GET", "/account-info/{version}/details", "account"),
    ("GET", "/crm-object-schemas/{version}/schemas/{object_type}", "schema"),
    ("POST", "/oauth/{version}/token", "token"),
)


def _on_this_loop(seconds: float, act: Callable[[], None]) -> None:
    """Between the requests, not beside them, as a thread would; and nothing is left when the server ends."""
    asyncio.get_running_loop().call_later(seconds, act)


def create_app(
    token: str = DEFAULT_TOKEN,
    clock: Callable[[], float] = time.time,
    new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    sleep: Sleep = asyncio.sleep,
    later: Later = _on_this_loop,
    kept_entries: int | None = KEPT_ENTRIES,
) -> Starlette:
    """The stand-in as an ASGI application with a state of its own, which `app.state.standin` holds.

    `token` is a valid token, named `default`, of the account with hub id 1. `clock` gives epoch seconds,
    `new_id` an id for a call or in a new token, `sleep` waits so many seconds before an answer that is to be
    slow, and `later` calls a function after so many, on the event loop that served the request unless given.
    The journal keeps the newest `kept_entries`, or all with None.
    """
    standin = StandIn([Token.of({"name": "default", "token": token})], clock, new_id, kept_entries)
    answered = partial(_answered, standin, sleep, later)
    app = Starlette(
        routes=[
            *(Route(path, _operation(answered, name), methods=[verb]) for verb, path, name in ROUTES),
            *(Route(_CONTROL + path, _control(standin, act), methods=[verb]) for verb, path, act in ACTIONS),
        ],
        exception_handlers={HTTPException: _unrouted(answered), ClientDisconnect: _nobody_there},
    )
    app.router.redirect_slashes = False
    app.state.standin = standin
    return app


def _operation(answered: Answered, operation: str) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        body = await _body(request)
        return await answered(_call(request, operation, body))

    return endpoint


def _call(request: Request, operation: str, body: bytes | None, refusal: HubSpotError | None = None) -> Call:
    if body is None:
        refusal = HubSpotError(413, "VALIDATION_ERROR", f"The body is larger than {MAX_BODY_BYTES} bytes.")
    return Call(
        operation=operation,
        method=request.method,
        path=request.url.path,
        authorization=request.headers.get("Authorization", ""),
        body=body or b"",
        version=request.path_params.get("version", ""),
        from_object_type=request.path_params.get("from_type"),
        to_object_type=request.path_params.get("to_type"),
        refusal=refusal,
        object_type=request.path_params.get("object_type"),
    )


async def _answered(standin: StandIn, sleep: Sleep, later: Later, call: Call) -> Response:
    exchange = standin.receive(call)
    if exchange.landing:
        later(*exchange.landing)
    if exchange.wait_seconds:
        await sleep(exchange.wait_seconds)
    return response(exchange.finish())


def _control(standin: StandIn, action: Action) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        body = await _body(request)
        if body is None:
            return response(Answer(413, {"errors": [f"the body is larger than {MAX_BODY_BYTES} bytes"]}))
        return response(control(standin, action, Control(body, request.query_params)))

    return endpoint


def _unrouted(answered: Answered) -> Callable[[Request, Exception], Awaitable[Response]]:
    """What answers a path or method that is not there: HubSpot's way, journalled, outside /_standin/."""

    async def endpoint(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if request.url.path.startswith(_CONTROL):
            return response(Answer(error.status_code, {"errors": [error.detail]}))
        refusal = wrong_method() if error.status_code == 405 else not_found()
        return await answered(_call(request, "unknown", b"", refusal))

    return endpoint


async def _nobody_there(request: Request, error: Exception) -> Response:
    """A client that left while sending its request has asked for nothing, and reads no answer."""
    return Response(status_code=400)


async def _body(request: Request) -> bytes | None:
    """The request's body; None when it is larger than MAX_BODY_BYTES."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            return None
    return body


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve a stand-in on loopback until told to stop; print its address once it can be called."""
    parser = argparse.ArgumentParser(prog="python -m local.hubspot", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1; 0 takes any that is free")
    parser.add_argument(
        "--token",
        default=os.environ.get("STANDIN_TOKEN") or DEFAULT_TOKEN,
        help=f"the valid token of account 1 (default: $STANDIN_TOKEN, else {DEFAULT_TOKEN})",
    )
    parser.add_argument(
        "--journal",
        type=int,
        default=KEPT_ENTRIES,
        metavar="N",
        help=f"how many calls the journal keeps (default: {KEPT_ENTRIES})",
    )
    options = parser.parse_args(arguments)
    if options.journal < 1:
        parser.error("--journal must be at least 1")
    # asyncio sends at once only on a socket that says it is TCP's; else Nagle's algorithm holds the body of each answer
    # back until the client has acknowledged its head, which takes 40 ms.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, options.port))
        except (OSError, OverflowError) as error:
            parser.error(f"cannot listen on {HOST}:{options.port}: {error}")
        # Listening from here on, so that whoever reads the address can connect at once.
        listener.listen(2048)
        print(f"http://{HOST}:{listener.getsockname()[1]}", flush=True)
        config = uvicorn.Config(
            create_app(options.token, kept_entries=options.journal),
            http=EndableProtocol,
            ws="none",
            lifespan="off",
            log_level="warning",
            timeout_graceful_shutdown=1,
        )
        uvicorn.Server(config).run(sockets=[listener])
