"""A limit to an answer's whole time. HTTP libraries limit the pause between two bytes, which a slow drip outlasts."""

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


class Limit:
    """The time that the answers of one thread's request may take, from when it was sent."""

    def __init__(self, seconds: float) -> None:
        self.sent = False
        self._seconds = seconds
        self._timers: list[threading.Timer] = []

    def watch(self, connection: socket.socket) -> None:
        """The request was sent: cut the connection off where its answer is not there in time."""
        self.sent = True
        timer = threading.Timer(self._seconds, _cut, [connection])
        timer.daemon = True
        timer.start()
        self._timers.append(timer)

    def end(self) -> None:
        """The answer is there, or nobody waits for it any more."""
        for timer in self._timers:
            timer.cancel()


class _Current(threading.local):
    limit: Limit | None = None


_current = _Current()


@contextmanager
def answer_deadline(seconds: float) -> Iterator[Limit]:
    """Limit what this thread reads through a `session_with_deadlines`: later than that, the connection ends in the middle."""
    _current.limit = limit = Limit(seconds)
    try:
        yield limit
    finally:
        _current.limit = None
        limit.end()


def session_with_deadlines() -> requests.Session:
    """A session whose answers obey `answer_deadline`."""
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter())
    return session


def _cut(connection: socket.socket) -> None:
    try:
        # The socket's own, beneath TLS: whoever reads from it meanwhile finds it ended.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
    except OSError:
        return  # it has ended by itself


class _Connection(HTTPConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3's own
        if _current.limit and self.sock:
            _current.limit.watch(self.sock)
        return super().getresponse()


class _SecureConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


_POOLS = {"http": _Pool, "https": _SecurePool}


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **named: Any) -> None:
        super().init_poolmanager(*args, **named)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **named: Any) -> Any:
        manager = super().proxy_manager_for(*args, **named)
        manager.pool_classes_by_scheme = _POOLS
        return manager
