"""The wire to HubSpot: a requests adapter in front of the stand-in, in virtual time."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProtocolError

from batch_create.ports import Point
from local.hubspot.catalogue import Pair, TypeKey
from local.hubspot.faults import Fault, FaultOrder, Faults, Target
from local.hubspot.portal import Portal
from local.hubspot.service import Call, StandIn
from tests.simulation.world import World

BASE_URL = "https://hubspot.simulated"
LONGEST_LANDING = 120.0  # seconds from a call's arrival until HubSpot has carried it out at the latest
ROUTES = (
    (re.compile(r"/crm/associations/([^/]+)/definitions/configurations/([^/]+)/([^/]+)/batch/create"), "create"),
    (re.compile(r"/crm/associations/([^/]+)/definitions/configurations/([^/]+)/([^/]+)"), "read"),
    (re.compile(r"/account-info/([^/]+)/details"), "account"),
    (re.compile(r"/crm-object-schemas/([^/]+)/schemas/([^/]+)"), "schema"),
    (re.compile(r"/oauth/([^/]+)/token"), "token"),
)
Key = tuple[int, str, str, str, int]  # hub, from, to, category, type id: one limit in the world


@dataclass(frozen=True)
class Set:
    """A limit that took a number at a moment."""

    moment: float
    number: int


@dataclass(frozen=True)
class Heard:
    """One call as its client saw it: `status` is None where no answer came."""

    sequence: int
    sent_at: float
    ended_at: float
    operation: str
    worker: str
    status: int | None
    refused_to_connect: bool = False


class RecordingPortal(Portal):
    """An account that also keeps everything that was ever set, as the truth to compare with. `flaps` says of each read
    that lags whether it shows the present all the same."""

    def __init__(self, hub_id: int, truth: dict[Key, list[Set]], flaps: Callable[[], bool]) -> None:
        super().__init__()
        self._hub_id = hub_id
        self._truth = truth
        self._flaps = flaps

    def limits(self, pair: Pair, moment: float | None = None) -> dict[TypeKey, int]:
        return super().limits(pair, None if moment is not None and self._flaps() else moment)

    def commit(self, pair: Pair, changes: Mapping[TypeKey, int | None], moment: float) -> None:
        super().commit(pair, changes, moment)
        for key, number in changes.items():
            if number is not None:
                self._truth[(self._hub_id, *pair, *key)].append(Set(moment, number))


class Portals(defaultdict[int, Portal]):
    def __init__(self, truth: dict[Key, list[Set]], flaps: Callable[[], bool]) -> None:
        super().__init__()
        self._truth = truth
        self._flaps = flaps

    def __missing__(self, hub_id: int) -> Portal:
        self[hub_id] = RecordingPortal(hub_id, self._truth, self._flaps)
        return self[hub_id]


class Landings(Faults):
    """The ordered faults, and besides them creates that HubSpot carries out long after it has answered an error."""

    def __init__(self, late: Callable[[], bool], dice: Random) -> None:
        super().__init__()
        self.drawn = False  # whether the call received last lands late
        self._late = late
        self._dice = dice

    def draw(self, target: Target) -> Fault | None:
        fault = super().draw(target)
        self.drawn = fault is None and target.operation == "create" and self._late()
        if not self.drawn:
            return fault
        milliseconds = int(self._dice.uniform(0, LONGEST_LANDING) * 1000)
        effect = {"kind": "delay", "delayMs": milliseconds, "late": True}
        return Fault(0, FaultOrder.of({"operation": "create", "times": 1, "effect": effect}))


class Wire(BaseAdapter):
    """Carries requests to the stand-in. `refuses` says whether a connection is refused, `reached` is the port. `late`
    says of a create whether HubSpot carries it out late, `flaps` of a read that lags whether it shows the present."""

    def __init__(
        self,
        world: World,
        standin: StandIn,
        refuses: Callable[[], bool],
        reached: Callable[[Point], None],
        late: Callable[[], bool],
        flaps: Callable[[], bool],
    ) -> None:
        super().__init__()
        self.truth: dict[Key, list[Set]] = defaultdict(list)
        self.heard: list[Heard] = []
        self.shown: dict[int, bytes] = {}  # by the number of a read: the body that its client got
        self._world = world
        self._standin = standin
        self._refuses = refuses
        self._reached = reached
        standin.portals = Portals(self.truth, flaps)
        standin.faults = self._landings = Landings(late, world.random)

    def close(self) -> None:
        """Nothing is open."""

    def send(  # type: ignore[override] # of the other parameters none matters here
        self, request: requests.PreparedRequest, timeout: Any = None, **rest: Any
    ) -> requests.Response:
        """Carry one request, for at most its read timeout once it is sent."""
        world, started = self._world, self._world.now
        world.wait(world.random.uniform(0.002, 0.05))
        if self._refuses():
            self._hear(started, "none", None, -1, refused=True)
            refused = NewConnectionError(None, "refused")  # type: ignore[arg-type] # there is no connection to name
            failure = MaxRetryError(None, "", refused)  # type: ignore[arg-type] # nor a pool of connections
            raise requests.exceptions.ConnectionError(failure)
        call = _call(request)
        self._landings.drawn = False
        exchange = self._standin.receive(call)
        lands_late, sequence = self._landings.drawn, self._standin.journal.total
        if lands_late:  # whatever becomes of who asked for it
            world.at(world.now + exchange.wait_seconds, lambda: _forget(exchange.finish()))
        world.note("call", call.operation, call.path, sequence)
        dead = True
        try:
            self._reached(Point.AFTER_SEND)
            dead = False
        finally:
            if dead:  # HubSpot goes on with what has arrived, whoever waits for the answer
                self._hear(started, call.operation, None, sequence)
                if not lands_late:
                    world.at(world.now + exchange.wait_seconds, lambda: _forget(exchange.finish()))
        _, read_timeout = timeout
        if lands_late:
            return self._given_up(request, call.operation, sequence, started, read_timeout)
        if exchange.wait_seconds > read_timeout:
            world.at(world.now + exchange.wait_seconds, lambda: _forget(exchange.finish()))
            self._waited(read_timeout, started, call.operation, sequence)
            self._hear(started, call.operation, None, sequence)
            raise requests.exceptions.ReadTimeout
        self._waited(exchange.wait_seconds + world.random.uniform(0.02, 0.3), started, call.operation, sequence)
        answer = exchange.finish()
        if answer.dropped:
            self._hear(started, call.operation, None, sequence)
            raise requests.exceptions.ConnectionError(ProtocolError("closed"))
        self._hear(started, call.operation, answer.status, sequence)
        if call.operation == "read" and answer.status == 200:
            self.shown[sequence] = answer.body
        return response(request, answer.status, answer.headers, answer.body)

    def _given_up(
        self, request: requests.PreparedRequest, operation: str, sequence: int, started: float, read_timeout: float
    ) -> requests.Response:
        """The answer to a call that lands late: a gateway's 504, a connection that ends, or none in time."""
        world = self._world
        seconds = world.random.choice([0.05, world.random.uniform(0, read_timeout), read_timeout])
        self._waited(seconds, started, operation, sequence)
        answered = seconds < read_timeout and world.chance(0.5)
        self._hear(started, operation, 504 if answered else None, sequence)
        if answered:
            return response(request, 504, {"Content-Type": "text/html"}, b"<html>504 Gateway Time-out</html>")
        if seconds < read_timeout:
            raise requests.exceptions.ConnectionError(ProtocolError("closed"))
        raise requests.exceptions.ReadTimeout

    def _waited(self, seconds: float, started: float, operation: str, sequence: int) -> None:
        done = False
        try:
            self._world.wait(seconds)
            done = True
        finally:
            if not done:
                self._hear(started, operation, None, sequence)

    def _hear(
        self, started: float, operation: str, status: int | None, sequence: int, *, refused: bool = False
    ) -> None:
        worker = self._world.current.name if self._world.current else ""
        self.heard.append(Heard(sequence, started, self._world.now, operation, worker, status, refused))


def response(
    request: requests.PreparedRequest, status: int, headers: Mapping[str, str], body: bytes
) -> requests.Response:
    """An answer as a session hands it on."""
    made = requests.Response()
    made.status_code = status
    made.headers = CaseInsensitiveDict(headers)
    made._content = body
    made._content_consumed = True  # type: ignore[attr-defined]  # there is no connection to read it from
    made.url, made.request = request.url or "", request
    return made


def _forget(answer: object) -> None:
    """An answer that nobody waits for."""


def _call(request: requests.PreparedRequest) -> Call:
    url = urlsplit(request.url or "")
    body = request.body or b""
    for pattern, operation in ROUTES:
        if match := pattern.fullmatch(url.path):
            version, *types = match.groups()
            pair = types if len(types) == 2 else []
            return Call(
                operation=operation,
                method=request.method or "",
                path=url.path,
                authorization=request.headers.get("Authorization", ""),
                body=body.encode() if isinstance(body, str) else body,
                version=version,
                from_object_type=pair[0] if pair else None,
                to_object_type=pair[1] if pair else None,
                object_type=types[0] if operation == "schema" else None,
            )
    raise AssertionError(f"the service calls {url.path}, which HubSpot does not have")
