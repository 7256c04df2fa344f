"""One seed from beginning to end: the plan carried out, healed, and waited for until nothing moves."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import requests

from aws.dynamodb import deserialise
from batch_create.ports import Point
from ledger.items import VERIFY, to_outcome
from local.hubspot.access import Token
from local.hubspot.faults import FaultOrder
from local.hubspot.oauth import OAuthApp
from local.hubspot.service import StandIn
from model.outcomes import Outcome, Result
from model.records import iso
from tests.simulation.deployment import CLIENTS, PREFIX, Clients, Environment, Functions, settings
from tests.simulation.dynamo import Dynamo
from tests.simulation.plan import Ask, Plan, Replay
from tests.simulation.secrets import Secrets
from tests.simulation.sqs import Mapping, Message, Queue, Sqs
from tests.simulation.transport import BASE_URL, Wire
from tests.simulation.world import START, World

HOUR = 3600.0
DISPATCH = 60.0  # seconds between two dispatches
SWEEP = 300.0  # seconds between two sweeps, as the service is deployed
LONGEST = 20 * 24 * HOUR  # of a run, in virtual time: more than SQS keeps a message
# Seconds without anything new after which all is at rest: what HubSpot carries out late it has carried out, no read
# lags any more, and whoever looks at pairs again has looked, as each hour's sweep does.
REST = HOUR
CLIENT_KEY = "client-key"
HUBS = {"default": 1, "acme": 2}
# The writes that botocore makes again by itself, once they are done.
WRITES = {
    f"{name} answered"
    for name in ("put_item", "update_item", "batch_execute_statement", "send_message", "send_message_batch")
}
DONE = (Result.APPLIED, Result.UNCHANGED, Result.SUPERSEDED)  # of which a replay leaves out what it may
SECONDS = {
    "webhook": 29.0,
    "consumer": 60.0,
    "scheduled": 300.0,
    "dead_letters": 60.0,
    "sweep": 300.0,
    "dispatcher": 60.0,
}


class Scenario:
    """The world of one plan. After `play`, `outcomes` is the ledger and `accepted` what its callers were promised."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.world = World(plan.seed)
        self.healed = False
        self.accepted: dict[str, list[Ask]] = {}
        self.messages: dict[str, Ask] = {}
        self.moved: dict[str, str] = {}  # by the id of a dead letter: the id that it had when it was moved back
        self.refused: list[tuple[Ask, int, str]] = []  # each 409 and 422, and the outcome that it names
        self.replays: dict[str, bool] = {}  # by the replayed outcome's id: whether all of it
        self.replayed: dict[str, bool] = {}  # the same by the id of the replay's own outcome
        self.kills: dict[Point, int] = dict.fromkeys(Point, 0)
        world = self.world
        self.dynamo = Dynamo(self._step, lambda: world.now, plan.index_lag)
        self.access_tokens = Dynamo(self._step, lambda: world.now, plan.index_lag)
        self.secrets = Secrets(self._step, world.new_id)
        self.dead_letters = Queue(world, "dead letters", 360)
        self.queue = Queue(world, "requests", 360, plan.max_receives, self.dead_letters, plan.duplicates, plan.skew)
        self.queue.moved_back = self._moved_back
        self.standin = StandIn(
            [Token(name="default", token="static-1"), Token(name="acme", token="static-acme", hub_id=2)],
            lambda: world.now,
            world.new_id,
            None,
        )
        self.wire = Wire(
            world,
            self.standin,
            self._refuses,
            self._reached,
            late=lambda: not self.healed and world.chance(plan.lands_late),
            flaps=lambda: world.chance(plan.flaps),
        )
        session = requests.Session()
        session.trust_env = False  # no proxies, no .netrc: looking for them takes most of a call's time
        session.mount(BASE_URL, self.wire)
        clients = Clients(self.dynamo, self.access_tokens, Sqs(self.queue, self._step), self.secrets, session)
        zones = {portal: ZoneInfo(name) for portal, name in plan.zones.items()}
        environment = settings(dict(zones), plan.batch_size, plan.quota, plan.give_up_after)

        def new_environment() -> Environment:
            skew = world.random.uniform(-plan.skew, plan.skew) if plan.skew else 0
            return Environment(world, clients, environment, self._reached, skew)

        self.functions = Functions(world, new_environment)
        self._poll(self.queue, "consumer", 5, plan.messages_at_once)
        self._poll(self.dead_letters, "dead_letters", 2, 1)

    # ----------------------------------------------------------------------------------------------------------- ports
    def _step(self, operation: str) -> str:
        """What becomes of one operation of AWS; the turn passes to others meanwhile."""
        world = self.world
        world.alive()
        failing = 0 if self.healed else self.plan.aws_fails
        if world.chance(0.7):
            world.wait(world.random.uniform(0.001, 0.03))
        world.note(operation)
        if operation.endswith("answered"):
            return "lost" if world.chance(failing) else self._answered(operation)
        return "throttled" if world.chance(failing) else ""

    def _answered(self, operation: str) -> str:
        """Whether the answer to a write is lost on its way and the client, botocore, makes the write once more."""
        world = self.world
        if self.healed or operation not in WRITES or not world.chance(self.plan.retried_writes):
            return ""
        # The connection ends at once, or nothing is heard until its read timeout.
        world.wait(world.random.choice([world.random.uniform(0.01, 1), 5 + world.random.random()]))
        world.note(operation, "again")
        return "retried"

    def _refuses(self) -> bool:
        return not self.healed and self.world.chance(self.plan.refused_connections)

    def _reached(self, point: Point) -> None:
        worker = self.world.current
        if worker is None or self.healed:
            return
        if self.world.chance(self.plan.crash):
            self.kills[point] += 1
            worker.kill()
        if self.world.chance(self.plan.stall):
            self._stand_still(worker.process.ends_at - self.world.now)

    def _stand_still(self, left: float) -> None:
        """Until some moment of the invocation, until just before its end, or until it is killed there."""
        dice = self.world.random
        seconds = dice.choice([dice.uniform(0, left), left - dice.uniform(0.01, 3), left + 1])
        self.world.note("stalled", seconds)
        self.world.wait(max(0, seconds))

    def _poll(self, queue: Queue, function: str, concurrency: int, at_once: int) -> None:
        def invoke(event: Any, done: Any) -> None:
            self.functions.invoke(function, event, SECONDS[function], done)

        Mapping(self.world, queue, invoke, at_once, concurrency)

    # ------------------------------------------------------------------------------------------------------------ play
    def play(self, longest: float = LONGEST) -> Scenario:
        """Carry the plan out, and wait until everything has an end or nothing moves any more, for so long at most."""
        plan, world = self.plan, self.world
        self.standin.settings = self.standin.settings.changed(plan.switches)
        for order in plan.faults:
            self.standin.faults.add(FaultOrder.of(order))
        self.store_secrets()
        for ask in plan.asks:
            world.at(START + ask.after, partial(self._ask, ask, 1))
        for replay in plan.replays:
            world.at(START + replay.after, partial(self._replay_one, replay))
        world.at(START + plan.heal_after, self._heal)
        world.at(START + SWEEP, self._sweep)
        world.at(START + DISPATCH, self._dispatch)
        last = max([ask.after for ask in plan.asks] + [replay.after for replay in plan.replays])
        moment = START + max(plan.heal_after, last) + HOUR  # also the last has begun by then
        world.run(moment)
        while moment < START + longest and (self.unfinished() or moment < self.last_change() + REST):
            moment += HOUR
            world.run(moment)
        world.close()
        return self

    def last_change(self) -> float:
        """When an outcome was written last, or anything was sent to HubSpot or set there."""
        written = next((moment for moment, _, item in reversed(self.dynamo.writes) if "inputs" in item), START)
        sent = (one.ended_at for one in reversed(self.wire.heard) if one.operation == "create")
        landed = (history[-1].moment for history in self.wire.truth.values())
        return max(written, next(sent, START), *landed, START)

    def unfinished(self) -> bool:
        """Whether anything waits: a message, a request, or a pair that is to be verified: a spent day stops it too."""
        if self.queue.messages or self.dead_letters.messages:
            return True
        items = self.dynamo.items.values()
        requests = any(item["status"]["S"] in UNFINISHED for item in items if "inputs" in item)
        return requests or any(item.get("statusKey", {}).get("S", "").endswith(f"#{VERIFY}") for item in items)

    @property
    def outcomes(self) -> dict[str, Outcome]:
        """The ledger."""
        items = {key: deserialise(item) for key, item in self.dynamo.items.items() if "inputs" in item}
        return {key: to_outcome(item) for key, item in items.items()}

    def store_secrets(self) -> None:
        """Let every secret be there."""
        plan, world = self.plan, self.world
        digest = hashlib.sha256(CLIENT_KEY.encode()).hexdigest()
        client = {"name": "crm", "keySha256": [digest], "portals": ["*"], "mayReplay": True}
        self.secrets.set(CLIENTS, json.dumps({"clients": [client]}))
        self.secrets.set(f"{PREFIX}/default", "static-1")
        if plan.oauth:
            self._install("good")
        else:
            self.secrets.set(f"{PREFIX}/acme", json.dumps({"accessToken": "static-acme", "hubId": 2}))
        if plan.token_change:
            forgotten, mended = plan.token_change
            world.at(START + forgotten, lambda: self._give("static-2", forget="static-1"))
            world.at(START + mended, lambda: self.secrets.set(f"{PREFIX}/default", "static-2"))
        if plan.oauth and plan.broken_oauth:
            broken, mended = plan.broken_oauth
            world.at(START + broken, self._revoke)
            world.at(START + mended, lambda: self._install("mended"))

    def _install(self, refresh_token: str) -> None:
        app = {
            "clientId": "app",
            "clientSecret": "app-secret",
            "refreshToken": refresh_token,
            "hubId": 2,
            "expiresIn": 1800,
            "rotates": self.plan.rotates,
        }
        self.standin.oauth.add(OAuthApp.of(app))
        keys = ("clientId", "clientSecret", "refreshToken", "hubId")
        self.secrets.set(f"{PREFIX}/acme", json.dumps({key: app[key] for key in keys}))

    def _revoke(self) -> None:
        self.standin.oauth.revoke("app")

    def _give(self, token: str, forget: str) -> None:
        self.standin.tokens.add(Token(name="default", token=token))
        self.standin.tokens.add(Token(name="old", token=forget, state="unknown"))

    def _heal(self) -> None:
        self.healed = True
        self.world.note("healed")
        if self.plan.oauth:
            self._install("mended")  # a refresh token that was replaced is lost with the worker that had it alone
        unreadable = [order for order in self.plan.faults if order.get("share") == 1 and "fromObjectType" in order]
        self.standin.faults.clear()
        for order in unreadable:
            self.standin.faults.add(FaultOrder.of(order))
        self.standin.settings = self.standin.settings.changed({"tenSecondlyLimit": None, "dailyLimit": 1_000_000})

    def _sweep(self) -> None:
        self.functions.invoke("sweep", {}, SECONDS["sweep"], lambda answer: None)
        self.world.at(self.world.now + SWEEP, self._sweep)

    def _dispatch(self) -> None:
        soon = iso(self.world.clock() + timedelta(seconds=self.plan.skew))
        gates = (self.dynamo.items.get(f"gate#{portal}", {}).get("dueSort") for portal in HUBS)
        if any(gate and gate["S"] <= soon + "~" for gate in gates):  # else it would find nothing
            self.functions.invoke("dispatcher", {}, SECONDS["dispatcher"], lambda answer: None)
        self.world.at(self.world.now + DISPATCH, self._dispatch)

    # ------------------------------------------------------------------------------------------------------ operators
    def _moved_back(self, message: Message) -> bool:
        """Whether an operator moves a dead letter back to the main queue before it is settled: as a new message, of a
        new age, of which only the body and the attributes are the old ones."""
        world = self.world
        if not world.chance(self.plan.moved_letters):
            return False
        new_id = self.queue.send(message.body, message.attributes)
        self.moved[message.id] = new_id
        message.history.append((world.now, f"moved back as {new_id}"))
        if ask := self.messages.get(message.id):
            self.messages[new_id] = ask
            if ask.key is None:  # else the key says that it is the old request
                self.accepted[new_id] = [ask]
                if message.id not in self.dynamo.items:
                    self.accepted.pop(message.id, None)  # of the old request nothing is left
        return True

    def _replay_one(self, replay: Replay) -> None:
        """Replay an outcome that is final now, if there is one that was not replayed the other way before."""
        final = [
            outcome
            for outcome in sorted(self.outcomes.values(), key=lambda one: one.id)
            if outcome.status.final and outcome.inputs
            if self.replays.get(outcome.id, replay.everything) is replay.everything
            if replay.everything or any(item.result not in DONE for item in outcome.inputs)
        ]
        if final:
            outcome = self.world.random.choice(final)
            self.replays[outcome.id] = replay.everything
            self._replay(outcome.id, everything=replay.everything, attempt=1)

    def _replay(self, outcome_id: str, *, everything: bool, attempt: int) -> None:
        query = {"all": "true"} if everything else None

        def done(answer: dict[str, Any] | None) -> None:
            status = answer["statusCode"] if answer else 504
            told = answer["multiValueHeaders"] if answer else {}
            found = told.get("Outcome-Id")
            self.world.note("replayed", outcome_id, status)
            if found and status == 202:
                self.accepted.setdefault(found[0], [])
                self.replayed[found[0]] = everything
            elif status >= 500 and attempt < 20:
                later = self.world.now + 20 * attempt
                self.world.at(later, lambda: self._replay(outcome_id, everything=everything, attempt=attempt + 1))

        event = self._event("POST", f"/outcomes/{outcome_id}/replay", {"Authorization": f"Bearer {CLIENT_KEY}"}, query)
        self.functions.invoke("webhook", event, SECONDS["webhook"], done)

    # ------------------------------------------------------------------------------------------------------------- ask
    def _ask(self, ask: Ask, attempt: int) -> None:
        envelope = {
            "portal": ask.portal,
            "fromObjectType": ask.pair[0],
            "toObjectType": ask.pair[1],
            "inputs": [{"category": c, "typeId": t, "maxToObjectIds": n} for c, t, n in ask.inputs],
        }
        if ask.way == "queue":
            body = json.dumps({**envelope, **({"idempotencyKey": ask.key} if ask.key else {})})
            message_id = self.queue.send(body, {})
            self.messages[message_id] = ask
            self.accepted.setdefault(hashed(ask, None) if ask.key else message_id, []).append(ask)
        elif ask.way == "schedule":
            event = {**envelope, "idempotencyKey": ask.key}
            self.accepted.setdefault(hashed(ask, None), []).append(ask)
            self.fire(event)
        else:
            self._call(ask, envelope, attempt)

    def fire(self, event: Any, attempt: int = 1) -> None:
        """Invoked asynchronously: Lambda tries twice more, and then gives the event to the dead-letter queue."""

        def done(answer: Any) -> None:
            world = self.world
            if answer is not None:
                return
            if attempt < 3:
                world.at(world.now + 60 * attempt, lambda: self.fire(event, attempt + 1))
            else:
                request_id = {"RequestID": {"StringValue": world.new_id()}}
                self.dead_letters.send(json.dumps(event), request_id)

        self.functions.invoke("scheduled", event, SECONDS["scheduled"], done)

    def _call(self, ask: Ask, envelope: dict[str, Any], attempt: int) -> None:
        headers = {"Authorization": f"Bearer {CLIENT_KEY}", "Content-Type": "application/json"}
        if ask.key:
            headers["Idempotency-Key"] = ask.key
        if ask.way == "async":
            headers["Prefer"] = "respond-async"
        path = f"/crm/associations/{ask.version}/definitions/configurations/{ask.pair[0]}/{ask.pair[1]}/batch/create"
        path = path if ask.portal == "default" else f"/portals/{ask.portal}{path}"
        event = self._event("POST", path, headers, None, json.dumps({"inputs": envelope["inputs"]}))

        def done(answer: dict[str, Any] | None) -> None:
            status = answer["statusCode"] if answer else 504
            told = answer["multiValueHeaders"] if answer else {}
            found = told.get("Outcome-Id")
            ours = status in (409, 422) and told.get("Outcome-Status") != ["REJECTED"]  # and not HubSpot's own 422
            self.world.note("answered", ask.key, status)
            if status in (413, 415):
                raise AssertionError(f"the webhook refuses the simulation's own form of a call: {answer}")
            if ours:
                self.refused.append((ask, status, found[0] if found else ""))
            if found and not ours:
                self.accepted.setdefault(found[0], []).append(ask)
            elif ask.key and status not in (400, 401, 403, 404, 422) and attempt < 20:
                # A careful client asks again with the same key until it gets an answer.
                later = self.world.now + 20 * attempt
                self.world.at(later, lambda: self._call(ask, envelope, attempt + 1))

        self.functions.invoke("webhook", event, SECONDS["webhook"], done)

    def _event(
        self, method: str, path: str, headers: dict[str, str], query: dict[str, str] | None, body: str | None = None
    ) -> dict[str, Any]:
        """An event of API Gateway, whose clock is right."""
        return {
            "httpMethod": method,
            "path": path,
            "headers": headers,
            "multiValueHeaders": {name: [value] for name, value in headers.items()},
            "queryStringParameters": query,
            "multiValueQueryStringParameters": {name: [value] for name, value in query.items()} if query else None,
            "requestContext": {
                "requestId": self.world.new_id(),
                "requestTimeEpoch": int(self.world.now * 1000),
                "stage": "v1",
                "path": path,
            },
            "body": body,
            "isBase64Encoded": False,
        }


UNFINISHED = {"QUEUED", "RUNNING", "DEFERRED"}


def hashed(ask: Ask, client: str | None) -> str:
    """The outcome's id of a request with a key, as design and README have it: a hash of portal, client and key."""
    return hashlib.sha256(json.dumps([ask.portal, client, ask.key]).encode()).hexdigest()[:32]
