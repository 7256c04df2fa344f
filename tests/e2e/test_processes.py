"""Servers that outlive the command that started them: found again, never mistaken, and ended."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

import pytest

from local.processes import HOST, Record, Server, ServerFailed, free_port

PAGE = "import http.server as s, sys; s.test(s.SimpleHTTPRequestHandler, bind='127.0.0.1', port=int(sys.argv[1]))"


def start(server: Server, port: int) -> None:
    server.start([sys.executable, "-c", PAGE, str(port)], {}, port, "this test", "/")


def test_a_server_is_found_again_and_ended(tmp_path: Path) -> None:
    server = Server(tmp_path, "page")
    port = free_port()

    start(server, port)
    found = Server(tmp_path, "page").running()

    assert found is not None
    assert (found.port, found.made_from) == (port, "this test")
    assert server.stop()
    assert server.running() is None
    assert not server.stop()


def test_a_process_that_only_has_the_same_id_is_not_ours(tmp_path: Path) -> None:
    server = Server(tmp_path, "page")
    record = {"pid": os.getpid(), "command": ["another", "program"], "port": 1, "made_from": ""}
    (tmp_path / "page.process.json").write_text(json.dumps(record))

    assert server.running() is None
    assert not server.stop()  # and we are still here
    assert Record(os.getpid(), ["another", "program"], 1, "").alive() is False


def test_a_server_that_ends_at_once_is_explained_by_its_log(tmp_path: Path) -> None:
    server = Server(tmp_path, "page")

    with pytest.raises(ServerFailed, match=r"(?s)page ended at once.*nothing to serve"):
        server.start([sys.executable, "-c", "raise SystemExit('nothing to serve')"], {}, free_port(), "", "/")


def test_a_port_that_another_program_has_is_refused(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()

        with pytest.raises(ServerFailed, match="another program listens"):
            start(Server(tmp_path, "page"), other.getsockname()[1])
