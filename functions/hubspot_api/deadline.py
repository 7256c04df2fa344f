"""A limit to the whole time of an answer, however slowly it drips.

urllib3 does not have one. `Timeout(total=)` limits the pause between two reads only, as its documentation says, and
`HTTPResponse.shutdown()` (urllib3 2.3 and later) exists only once all headers have arrived: a drip of headers would
outlast it. So the connections are our own: a pool's `ConnectionCls` says of which class they are, and a manager's
`pool_classes_by_scheme` which pools it makes. urllib3's source keeps both as attributes to be replaced, and its
documentation says nothing of them.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPResponse, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection


class AnswerDeadline:
    """The time that the answer to this thread's request may take, from when the request was sent."""

    def __init__(self, seconds: float) -> None:
        self.sent = False
        self.timers: list[threading.Timer] = []
        self._seconds = seconds

    def watch(self, connection: socket.socket) -> None:
        """The request was sent: cut the connection off unless the answer arrives in time."""
        self.sent = True
        timer = threading.Timer(self._seconds, _cut, [connection])
        timer.daemon = True
        timer.start()
        self.timers.append(timer)


class _Current(threading.local):
    limit: AnswerDeadline | None = None


_current = _Current()


@contextmanager
def answer_deadline(seconds: float) -> Iterator[AnswerDeadline]:
    """AnswerDeadline what this thread reads through a `session_with_deadlines`. A later answer ends in the middle."""
    _current.limit = limit = AnswerDeadline(seconds)
    try:
        yield limit
    finally:
        _current.limit = None
        for timer in limit.timers:
            timer.cancel()


def session_with_deadlines() -> requests.Session:
    """A session whose answers obey `answer_deadline`."""
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter())
    return session


def _cut(connection: socket.socket) -> None:
    try:
        # The socket's own method, beneath TLS: whoever is reading from it finds that it has ended.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
    except OSError:
        return  # it has ended by itself


class _Connection(HTTPConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override] # urllib3 answers with a response of its own
        if _current.limit and self.sock:
            _current.limit.watch(self.sock)
        return super().getresponse()


class _SecureConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **named: Any) -> None:
        super().init_poolmanager(*args, **named)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}

    def proxy_manager_for(self, *args: Any, **named: Any) -> Any:
        manager = super().proxy_manager_for(*args, **named)
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
        return manager
