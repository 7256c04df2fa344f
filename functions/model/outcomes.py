"""What the ledger keeps about a request: its outcome, with one result for every input."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property

from model.contract import ContractError, Envelope, LimitInput, Problem
from model.object_types import object_type_id
from model.pair import Pair
from model.records import milliseconds

CARRIED = timedelta(minutes=15)  # what waits for longer is carried by no message: SQS delays none for longer
Age = tuple[int, str]  # when a request was made (epoch milliseconds), and its id: the greater is the younger request

# Message ids, request ids and our own hashes; nothing that would need quoting in a URL, a log or a key.
ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")

UNREAD = "it may have been sent, and was not read back until it was given up"  # of an input that ends UNCONFIRMED


class Trigger(StrEnum):
    WEBHOOK = "webhook"
    QUEUE = "queue"
    SCHEDULE = "schedule"


class Status(StrEnum):
    """Of an outcome. All but the first three are final."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    DEFERRED = "DEFERRED"
    COMPLETE = "COMPLETE"  # every input applied, or superseded by a later request that was
    PARTIAL = "PARTIAL"
    REJECTED = "REJECTED"  # nothing applied, and a retry cannot help
    UNCONFIRMED = "UNCONFIRMED"  # sent, and even reading back could not prove it
    FAILED = "FAILED"  # gave up; can be replayed

    @property
    def final(self) -> bool:
        return self not in (Status.QUEUED, Status.RUNNING, Status.DEFERRED)


class Result(StrEnum):
    """Of one input."""

    PENDING = "PENDING"
    APPLIED = "APPLIED"
    UNCHANGED = "UNCHANGED"
    REJECTED = "REJECTED"
    SUPERSEDED = "SUPERSEDED"
    UNCONFIRMED = "UNCONFIRMED"


class Verdict(StrEnum):
    """The result of one call."""

    ANSWERED = "ANSWERED"  # with a body about each input
    REFUSED = "REFUSED"
    MISCONFIGURED = "MISCONFIGURED"
    UNAVAILABLE = "UNAVAILABLE"
    UNCERTAIN = "UNCERTAIN"
    READ_BACK = "READ_BACK"


@dataclass(frozen=True, slots=True, kw_only=True)
class InputOutcome(LimitInput):
    """One input and what became of it. `previous` is the number before us, where a read has shown it."""

    result: Result = Result.PENDING
    message: str | None = None
    correlation_id: str | None = None
    superseded_by: str | None = None
    previous: int | None = None

    @property
    def asked(self) -> LimitInput:
        return LimitInput(self.category, self.type_id, self.max_to_object_ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSpotResponse:
    """HubSpot's answer, word for word. `body` is text here; readers of the API get the JSON it holds. `verbatim` means
    that it can be our answer as it stands: each row and error in it is about this request's outcome, and true."""

    http_status: int | None = None
    status: str | None = None
    correlation_id: str | None = None
    body: str | None = None
    verbatim: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A request's latest send that came to no clear answer, and what reading back has shown since.

    HubSpot's reads can lag behind its writes. So a reading that does not show a limit is believed only when another one
    after a pause does not show it either.
    """

    since: datetime
    absent_since: datetime | None = None
    cleared: bool = False  # believed not to have been applied: it may be sent again
    refused: bool = False  # because the limit exists: its number was set before
    in_vain: int = 0  # how often HubSpot answered COMPLETE and had set nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One call made for a request."""

    at: datetime
    call: str
    verdict: Verdict
    http_status: int | None = None
    correlation_id: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The ledger entry of one request. A message that could not be read as a request has no pair and no inputs."""

    id: str
    portal: str
    from_object_type: str | None = None
    to_object_type: str | None = None
    status: Status
    trigger: Trigger
    client: str | None = None
    requested_by: str | None = None
    requested_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    retry_at: datetime | None = None
    reason: str | None = None
    inputs: tuple[InputOutcome, ...] = ()
    hubspot: HubSpotResponse | None = None
    attempts: tuple[Attempt, ...] = ()
    replay_of: str | None = None
    replayed_by: str | None = None
    received: str | None = None  # the text of a message that could not be read, or that was given up
    doubt: Doubt | None = None  # for the next run, which must read before it sends
    api_version: str | None = None  # from the caller's path; where absent, the first in the settings
    ordered_as: str | None = None  # the age of the request that this one replays, as `milliseconds#id`
    waits: int | None = None  # its runs for which the quota had no room, or its pair was not free: no failed tries
    parked: bool | None = None  # it waits in the ledger alone: no message carries it, and the dispatcher finds it

    @property
    def age(self) -> Age:
        """By which requests are ordered: a replay has the age of the request that it replays."""
        if self.ordered_as:
            moment, _, replayed = self.ordered_as.partition("#")
            return int(moment), replayed
        return milliseconds(self.requested_at), self.id

    @property
    def open_inputs(self) -> tuple[InputOutcome, ...]:
        return tuple(item for item in self.inputs if item.result is Result.PENDING)


@dataclass(frozen=True)
class Request:
    """A demand together with where it came from. Raises ContractError for an id that cannot be one.

    `own_id` is the trigger's id (SQS message, API Gateway request, rule event). `outcome_id` is set when the request
    was accepted earlier and handed to the queue. `interactive` means that a caller waits for the answer. `replay_of` is
    the outcome that the request runs again, and `ordered_as` that one's age; `doubt` must be resolved by reading back
    before anything is sent. `resolved` is the pair where HubSpot had to tell which types the envelope names.
    `redelivered` where its message has been read before.
    """

    envelope: Envelope
    trigger: Trigger
    own_id: str
    requested_at: datetime
    client: str | None = None
    outcome_id: str | None = None
    api_version: str | None = None
    interactive: bool = False
    replay_of: str | None = None
    ordered_as: str | None = None
    doubt: Doubt | None = None
    resolved: Pair | None = None
    redelivered: bool = False

    def __post_init__(self) -> None:
        if not ID.fullmatch(self.id):
            raise ContractError([Problem("id", "must be 1 to 128 letters, digits, or any of . _ : -")])

    @property
    def first_delivery(self) -> bool:
        """Whether it came in a message that nobody has read before, and that carries nothing on."""
        return self.trigger is Trigger.QUEUE and self.outcome_id is None and not self.redelivered

    @cached_property
    def pair(self) -> Pair | None:
        """The pair that it is about. None as long as only HubSpot can tell."""
        types = object_type_id(self.envelope.from_object_type), object_type_id(self.envelope.to_object_type)
        return self.resolved or (Pair(types[0], types[1]) if types[0] and types[1] else None)

    @property
    def id(self) -> str:
        """The outcome's id. The same demand always has the same one, whoever delivers it and however often."""
        key = self.envelope.idempotency_key
        if self.outcome_id or key is None:
            return self.outcome_id or self.own_id
        # Scoped by client as well: two callers' keys must not meet.
        return hashlib.sha256(json.dumps([self.envelope.portal, self.client, key]).encode()).hexdigest()[:32]

    @property
    def fingerprint(self) -> str:
        """A hash of what is asked for, however its types are spelt. It shows when a key is used for something else."""
        pair = self.pair
        return self._hashed(pair.from_type, pair.to_type) if pair else self.fingerprint_as_spelt

    @property
    def fingerprint_as_spelt(self) -> str:
        """The same with the types as they are spelt: what was claimed while only HubSpot knew them, or before types
        were compared by their ids, has this one."""
        return self._hashed(self.envelope.from_object_type, self.envelope.to_object_type)

    def _hashed(self, from_type: str, to_type: str) -> str:
        limits = sorted({(*item.key, item.max_to_object_ids) for item in self.envelope.inputs})
        return hashlib.sha256(json.dumps([[self.envelope.portal, from_type, to_type], limits]).encode()).hexdigest()


def conclude(inputs: Iterable[InputOutcome]) -> Status:
    """The status of an outcome from the results of its inputs."""
    results = {item.result for item in inputs}
    if Result.PENDING in results:
        return Status.DEFERRED
    if Result.UNCONFIRMED in results:
        return Status.UNCONFIRMED
    if Result.REJECTED not in results:
        return Status.COMPLETE
    return Status.REJECTED if results == {Result.REJECTED} else Status.PARTIAL


def unproven(inputs: Iterable[InputOutcome], message: str) -> tuple[InputOutcome, ...]:
    """The inputs with those UNCONFIRMED that are not decided, for one that gives up."""
    return tuple(
        replace(item, result=Result.UNCONFIRMED, message=message) if item.result is Result.PENDING else item
        for item in inputs
    )


def new_outcome(request: Request, status: Status, started_at: datetime | None = None) -> Outcome:
    """The outcome of a request for which nothing has been done yet."""
    envelope = request.envelope
    return Outcome(
        id=request.id,
        portal=envelope.portal,
        from_object_type=envelope.from_object_type,
        to_object_type=envelope.to_object_type,
        status=status,
        trigger=request.trigger,
        client=request.client,
        requested_by=envelope.requested_by,
        requested_at=request.requested_at,
        started_at=started_at,
        inputs=tuple(InputOutcome(item.category, item.type_id, item.max_to_object_ids) for item in envelope.inputs),
        api_version=request.api_version,
        replay_of=request.replay_of,
        ordered_as=request.ordered_as,
        doubt=request.doubt,
    )
