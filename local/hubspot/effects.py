"""What ordered faults do to an answer: each effect is data, and turns the honest answer into another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from voluptuous import Invalid

from infra.checks import Number, an_object, record
from local.hubspot.answers import (
    EXAMPLE_SCOPES,
    Answer,
    ContextForm,
    HubSpotError,
    Policy,
    missing_scopes,
    not_found,
    rate_limited,
    unknown_token,
)
from local.hubspot.settings import INT32_MAX, ControlRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# How long an account is said to be moving (status 477) unless ordered; HubSpot's moves take up to 24 h.
DEFAULT_MOVING_SECONDS = 60


@dataclass(frozen=True)
class Circumstances:
    """What an effect needs to know of the call it spoils."""

    correlation_id: str
    scope_context: ContextForm


@dataclass(frozen=True, kw_only=True)
class Effect(ControlRecord, ABC):
    """Common to all effects: whether and when the call is carried out all the same, and a delay before the answer."""

    applied: bool = True
    delay_ms: Annotated[int, Number(0, 600_000)] = 0
    # Carried out only when the delay is over: a client that has given up and reads back sees nothing yet.
    late: bool = False
    # Carried out so long after it was received, whenever the answer is: also after a client has been told of an error.
    land_ms: Annotated[int, Number(0, 600_000)] = 0

    def __post_init__(self) -> None:
        for name, given in (("late", self.late), ("landMs", self.land_ms)):
            if given and not self.applied:
                raise Invalid(f"{name} says when the call is carried out, so it needs applied: true")
        if self.late and self.land_ms:
            raise Invalid("late and landMs both say when the call is carried out; give one of them")

    @abstractmethod
    def disguise(self, honest: Answer, at: Circumstances) -> Answer:
        """The answer the client gets instead of the honest one."""


@dataclass(frozen=True, kw_only=True)
class Delay(Effect):
    """Only the delay; the answer is honest."""

    kind: Literal["delay"] = "delay"
    applied: Literal[True] = True

    def disguise(self, honest: Answer, at: Circumstances) -> Answer:
        """The honest answer."""
        return honest


@dataclass(frozen=True, kw_only=True)
class Status(Effect):
    """Any error status, with the body HubSpot, or a proxy before it, sends with it."""

    kind: Literal["status"] = "status"
    status: Annotated[int, Number(400, 599)]
    applied: bool = False
    policy: Policy | None = None
    retry_after_seconds: Annotated[int, Number(0)] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.policy and self.status != 429:
            raise Invalid("policy goes with status 429 only")

    def disguise(self, honest: Answer, at: Circumstances) -> Answer:
        """The error."""
        if self.status in PROXY_STATUSES:
            answer = _html(self.status)
        else:
            refusal = REFUSALS.get(self.status, _unspecific)
            answer = refusal(self, at).answer(at.correlation_id)
        retry_after = self.retry_after_seconds
        if retry_after is None and self.status == 477:
            retry_after = DEFAULT_MOVING_SECONDS
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        return answer.with_headers({**honest.headers, **headers})


@dataclass(frozen=True, kw_only=True)
class Drop(Effect):
    """The connection ends without an answer: closed, or reset."""

    kind: Literal["drop"] = "drop"
    applied: bool = False
    reset: bool = False

    def disguise(self, honest: Answer, at: Circumstances) -> Answer:
        """No answer."""
        return replace(honest, dropped="reset" if self.reset else "closed")


@dataclass(frozen=True, kw_only=True)
class Incomplete(Effect):
    """A batch that HubSpot says is not complete."""

    kind: Literal["incomplete"] = "incomplete"
    body_status: Literal["PENDING", "PROCESSING", "CANCELED"]
    applied: bool = False

    def disguise(self, honest: Answer, at: Circumstances) -> Answer:
        """The batch's body with another status and nothing echoed; answers that are not of a batch stay."""
        return _rewritten(honest, "status", lambda body: {**body, "status": self.body_status, "results": []})


@dataclass(frozen=True, kw_only=True)
class Broken(Effect):
    """A body that is not what it says it is, under the honest status."""

    kind: Literal["broken"] = "broken"
    body: Literal["truncated", "html", "empty"]

    def disguise(self, honest: Answer, at: Circumstances) -> Answer:
        """The honest status with a broken body."""
        if self.body == "html":
            # 204 may have no body.
            return replace(_html(200 if honest.status == 204 else honest.status), headers=honest.headers)
        content = honest.body[: len(honest.body) // 2] if self.body == "truncated" else b""
        return replace(honest, content=content)


@dataclass(frozen=True, kw_only=True)
class NoResults(Effect):
    """COMPLETE, but with nothing echoed and no error either."""

    kind: Literal["noResults"] = "noResults"

    def disguise(self, honest: Answer, at: Circumstances) -> Answer:
        """The body without its results and errors."""
        left_out = ("errors", "numErrors")
        return _rewritten(
            honest,
            "results",
            lambda body: {**{name: body[name] for name in body if name not in left_out}, "results": []},
        )


@dataclass(frozen=True, kw_only=True)
class Echo(Effect):
    """Every echoed limit differs from the true one by a number."""

    kind: Literal["echo"] = "echo"
    by: Annotated[int, Number(-INT32_MAX, INT32_MAX)] = 1

    def disguise(self, honest: Answer, at: Circumstances) -> Answer:
        """The body with other numbers."""
        return _rewritten(honest, "results", lambda body: {**body, "results": self._shifted(body["results"])})

    def _shifted(self, rows: object) -> list[dict[str, object]]:
        assert isinstance(rows, list)
        return [row if row.get(LIMIT_FIELD) is None else self._shift(row) for row in rows]

    def _shift(self, row: dict[str, Any]) -> dict[str, object]:
        return {**row, LIMIT_FIELD: row[LIMIT_FIELD] + self.by}


LIMIT_FIELD = "userEnforcedMaxToObjectIds"
AnyEffect = Delay | Status | Drop | Incomplete | Broken | NoResults | Echo
_EFFECTS = {each.kind: record(each, "a field of this effect") for each in get_args(AnyEffect)}


def any_effect(value: Any) -> AnyEffect:
    """An effect out of JSON, where `kind` says which it is. Raises Invalid with every bad field."""
    kind = an_object(value).get("kind")
    if not isinstance(kind, str) or kind not in _EFFECTS:
        raise Invalid(f"must be one of {', '.join(_EFFECTS)}, not {kind!r}", ["kind"])
    effect: AnyEffect = _EFFECTS[kind](value)
    return effect


def _rewritten(honest: Answer, needed: str, rewrite: Callable[[Mapping[str, object]], Mapping[str, object]]) -> Answer:
    """The answer with its body rewritten if it is a 2xx whose body has the field needed, else as it was."""
    if honest.status >= 300 or honest.payload is None or needed not in honest.payload:
        return honest
    return replace(honest, payload=rewrite(honest.payload))


# Sent by gateways and proxies, not by the application behind them: HTML, without HubSpot's error shape.
PROXY_STATUSES = frozenset({502, 504, 520, 521, 522, 523, 524, 525, 526})


def _html(status: int) -> Answer:
    page = f"<!doctype html><html><head><title>{status}</title></head><body>Error {status}</body></html>\n"
    return Answer(status, content=page.encode(), media_type="text/html")


def _unspecific(effect: Status, at: Circumstances) -> HubSpotError:
    category = "VALIDATION_ERROR" if effect.status < 500 else "INTERNAL_ERROR"
    return HubSpotError(effect.status, category, f"The call failed with status {effect.status}.")


REFUSALS: Mapping[int, Callable[[Status, Circumstances], HubSpotError]] = {
    401: lambda effect, at: unknown_token(),
    403: lambda effect, at: missing_scopes(EXAMPLE_SCOPES, at.scope_context),
    404: lambda effect, at: not_found(),
    423: lambda effect, at: HubSpotError(423, "LOCKED", "Another call holds the lock."),
    429: lambda effect, at: rate_limited(effect.policy or "TEN_SECONDLY_ROLLING"),
    477: lambda effect, at: HubSpotError(477, "MIGRATION_IN_PROGRESS", "The account is being moved."),
    503: lambda effect, at: HubSpotError(503, "SERVICE_UNAVAILABLE", "The service is not available."),
}
