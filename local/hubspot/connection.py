"""Sending answers over HTTP, or ending the connection without one."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

    from starlette.types import Receive, Scope, Send

    from local.hubspot.answers import Answer

# The name of our ASGI extension: a function that ends the connection, with a reset if its argument is true.
END_CONNECTION = "standin.end_connection"


class ConnectionEndedError(Exception):
    """Raised instead of ending the connection where the server has none to end, as in-process clients do."""


class EndableProtocol(H11Protocol):
    """uvicorn's HTTP protocol, offering applications the extension that ends the connection."""

    # asyncio declares any transport here; uvicorn's class, which this one extends, takes streams alone.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn narrows it
        """Give the application of this connection a way to end it."""
        super().connection_made(transport)
        app = self.app

        async def with_extension(scope: Any, receive: Any, send: Any) -> None:
            scope.setdefault("extensions", {})[END_CONNECTION] = self._end
            await app(scope, receive, send)

        self.app = with_extension

    def _end(self, reset: bool) -> None:
        if reset:
            # A linger time of zero makes close send RST instead of FIN.
            linger = struct.pack("ii", 1, 0)
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.transport.abort()


class NoResponse(Response):
    """Ends the connection instead of answering."""

    def __init__(self, reset: bool) -> None:
        super().__init__()
        self._reset = reset

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """End the connection and wait until the server knows, so that it does not answer in our place."""
        end = scope.get("extensions", {}).get(END_CONNECTION)
        if end is None:
            raise ConnectionEndedError("reset" if self._reset else "closed")
        end(self._reset)
        while (await receive())["type"] != "http.disconnect":
            pass


def response(answer: Answer) -> Response:
    """An answer as an ASGI response."""
    if answer.dropped:
        return NoResponse(reset=answer.dropped == "reset")
    return Response(answer.body, answer.status, dict(answer.headers), answer.media_type)
