"""HubSpot's HTTP client against a server that breaks every rule: it takes no harm, and knows what it does not know."""

from __future__ import annotations

import gzip
import json
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hubspot_api.client import HubSpot
from model.contract import Category, LimitInput
from model.errors import HubSpotFailure, Uncertain
from model.pair import Address

PAIR = Address("2026-03", "deals", "contacts")
INPUTS = [LimitInput(category=Category.HUBSPOT_DEFINED, type_id=3, max_to_object_ids=5)]
GIGABYTE = 2**30
MEMORY = 512  # MiB, the functions' default
FUNCTIONS = Path(__file__).resolve().parents[2] / "functions"
Send = Callable[[bytes], None]


@contextmanager
def server(answer: Callable[[Send, threading.Event], None]) -> Iterator[tuple[str, list[bytes]]]:
    """A server on loopback that answers each request with what `answer` sends; its address, and the requests it had."""
    heard: list[bytes] = []
    over = threading.Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            heard.append(self.request.recv(65_536))
            try:
                answer(self.request.sendall, over)
            except OSError:
                return  # the client has had enough

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_address[1]}", heard
        finally:
            over.set()
            listening.shutdown()


def head(status: str = "200 OK", **headers: object) -> bytes:
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json"]
    return "\r\n".join([*lines, *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]).encode()


def create(base_url: str, seconds: float = 10) -> HubSpotFailure:
    with pytest.raises(HubSpotFailure) as caught:
        HubSpot(base_url).batch_create("a-token", PAIR, INPUTS, seconds)
    return caught.value


def peak_of_a_call(base_url: str) -> tuple[str, int]:
    """The failure of a call made by a process of its own, and the most memory that it had, in MiB."""
    code = f"""
from model.contract import Category, LimitInput
from hubspot_api.client import HubSpot
from model.pair import Address
item = LimitInput(Category.HUBSPOT_DEFINED, 3, 5)
try:
    HubSpot({base_url!r}).batch_create("a-token", Address("2026-03", "deals", "contacts"), [item], 60)
except Exception as failure:  # whatever it is, it is printed
    print(type(failure).__name__)
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
    environment = {"PYTHONPATH": str(FUNCTIONS), "POWERTOOLS_SERVICE_NAME": "tests"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    failure, kib = done.stdout.split()
    return failure, int(kib) // 1024


def test_an_answer_of_a_gigabyte_is_cut_off() -> None:
    sent: list[int] = []

    def answer(send: Send, over: threading.Event) -> None:
        send(head(Content_Length=GIGABYTE) + b"\r\n\r\n")
        for _ in range(GIGABYTE // 2**16):
            send(b" " * 2**16)
            sent.append(2**16)

    with server(answer) as (address, _):
        failure, peak = peak_of_a_call(address)

    assert failure == "Uncertain"  # a 2xx, of which nobody can tell what was applied
    assert peak < MEMORY / 4
    assert sum(sent) < GIGABYTE / 8


def test_an_answer_that_unpacks_to_a_gigabyte_is_cut_off() -> None:
    packed = gzip.compress(b" " * GIGABYTE, compresslevel=6)

    def answer(send: Send, over: threading.Event) -> None:
        send(head(Content_Length=len(packed), Content_Encoding="gzip") + b"\r\n\r\n" + packed)

    with server(answer) as (address, _):
        failure, peak = peak_of_a_call(address)

    assert failure == "Uncertain"
    assert peak < MEMORY / 4


@pytest.mark.parametrize("dripping", ["head", "body", "chunks"])
def test_a_drip_that_never_ends_is_cut_off(dripping: str) -> None:
    def answer(send: Send, over: threading.Event) -> None:
        if dripping == "head":
            send(head() + b"\r\nX-Drip: ")
        elif dripping == "body":
            send(head(Content_Length=10_000) + b"\r\n\r\n{")
        else:
            send(head(Transfer_Encoding="chunked") + b"\r\n\r\n")
        while not over.wait(0.05):
            send(b"1\r\n \r\n" if dripping == "chunks" else b" ")

    with server(answer) as (address, _):
        failure = create(address, seconds=4)

    assert type(failure) is Uncertain  # it was sent


def test_after_a_cut_the_next_call_has_a_connection_of_its_own() -> None:
    turn = iter([b"{", json.dumps({"status": "COMPLETE", "results": []}).encode()])

    def answer(send: Send, over: threading.Event) -> None:
        body = next(turn)
        send(head(Content_Length=max(2, len(body))) + b"\r\n\r\n" + body)
        over.wait(3 if body == b"{" else 0)

    with server(answer) as (address, heard):
        hubspot = HubSpot(address)
        with pytest.raises(Uncertain):
            hubspot.batch_create("a-token", PAIR, INPUTS, 4)
        again = hubspot.batch_create("a-token", PAIR, INPUTS, 10)

    assert again.http_status == 200
    assert len(heard) == 2


@pytest.mark.parametrize(
    "status", ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 P"]
)
def test_a_redirect_takes_no_token_to_another_host(status: str) -> None:
    with server(lambda send, over: send(head(Content_Length=2) + b"\r\n\r\n{}")) as (elsewhere, heard_elsewhere):
        location = elsewhere.replace("127.0.0.1", "localhost") + "/crm"
        with server(lambda send, over: send(head(status, Location=location, Content_Length=0) + b"\r\n\r\n")) as (
            address,
            heard,
        ):
            create(address)

    assert b"Authorization: Bearer a-token" in heard[0]
    assert heard_elsewhere == []


@pytest.mark.parametrize("body", [b"[" * 1_000_000, b'{"results":' * 100_000, b"\xff\xfe\x00", b""])
def test_what_is_no_answer_is_not_taken_for_one(body: bytes) -> None:
    with server(lambda send, over: send(head(Content_Length=len(body)) + b"\r\n\r\n" + body)) as (address, _):
        assert type(create(address)) is Uncertain


def test_a_server_that_speaks_no_http_is_in_doubt() -> None:
    with server(lambda send, over: send(b"SSH-2.0-OpenSSH\r\n")) as (address, _):
        assert type(create(address)) is Uncertain
