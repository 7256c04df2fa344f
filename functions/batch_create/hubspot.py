"""The one HTTP client of HubSpot. It never sends anything twice by itself: whether to is decided by its caller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import requests
from pydantic import ValidationError
from requests.auth import AuthBase
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProxyError

from batch_create import __version__
from batch_create.contract import BatchAnswer, ErrorBody, Lenient, LimitInput, LimitKey, PairAnswer
from batch_create.errors import HubSpotFailure, Misconfigured, Refused, Unavailable, Uncertain

USER_AGENT = f"hubspot-association-limits/{__version__}"
CONNECT_TIMEOUT = 3.05  # seconds; slightly over 3, TCP's first retransmission, as the requests documentation advises
LONGEST_READ = 20.0  # seconds; HubSpot answers well within this or not at all

# What HubSpot's statuses ask of a client. Those not listed: other 4xx are refusals, other 5xx are uncertain.
NOTHING_APPLIED = {
    423,
    429,
    477,
    522,
    525,
    526,
}  # locked, limited, moving, and the edge's failures to connect
OWNER_MUST_MEND = {401, 403}
LOCK_SECONDS = 2.0  # a 423 says that the resource is locked for two seconds
ROLLING_WINDOW_SECONDS = 10.0  # policy TEN_SECONDLY_ROLLING
DAILY_RECHECK_SECONDS = 3600.0  # policy DAILY resets at midnight in the account's own time zone, which we do not know

T = TypeVar("T", bound=Lenient)


@dataclass(frozen=True)
class Pair:
    """Where a call goes: the API version and the two object types."""

    api_version: str
    from_object_type: str
    to_object_type: str


@dataclass(frozen=True)
class Answer:
    """A 2xx of batch create: parsed, and word for word."""

    http_status: int
    text: str
    correlation_id: str | None
    body: BatchAnswer


class HubSpot:
    """Batch create and the read of a pair. Raises the failures of `errors`, typed by what to do next."""

    def __init__(self, base_url: str, session: requests.Session | None = None) -> None:
        self._base_url = base_url
        self._session = session or requests.Session()
        self._session.headers["User-Agent"] = USER_AGENT

    def batch_create(self, token: str, pair: Pair, inputs: Sequence[LimitInput], seconds: float) -> Answer:
        """Set limits, in at most `seconds`."""
        body = {"inputs": [item.model_dump(mode="json", by_alias=True) for item in inputs]}
        reply = self._send("POST", token, pair, "/batch/create", seconds, json=body)
        return Answer(reply.status, reply.text, reply.correlation_id, _parsed(BatchAnswer, reply))

    def read_pair(self, token: str, pair: Pair, seconds: float) -> dict[LimitKey, int | None]:
        """Every limit set on a pair, in at most `seconds`."""
        rows = _parsed(PairAnswer, self._send("GET", token, pair, "", seconds)).results
        return {
            (row.category, row.type_id): row.user_enforced_max_to_object_ids
            for row in rows
            if row.category is not None and row.type_id is not None
        }

    def _send(self, method: str, token: str, pair: Pair, operation: str, seconds: float, json: Any = None) -> _Reply:
        url = (
            f"{self._base_url}/crm/associations/{pair.api_version}/definitions/configurations"
            f"/{pair.from_object_type}/{pair.to_object_type}{operation}"
        )
        read_timeout = min(LONGEST_READ, seconds - CONNECT_TIMEOUT)
        if read_timeout <= 0:
            raise Unavailable("no time was left in this invocation to call HubSpot")
        try:
            response = self._session.request(
                method,
                url,
                json=json,
                auth=_Bearer(token),
                timeout=(CONNECT_TIMEOUT, read_timeout),
                allow_redirects=False,  # a redirect must never carry the token to another place
            )
        except requests.exceptions.RequestException as error:
            raise _transport_failure(error) from error
        # What HubSpot says is kept and shown, so a token that it repeats is taken out here, before anybody sees it.
        reply = _Reply(
            response.status_code,
            response.content.decode(errors="replace").replace(token, "***"),
            response.headers,
        )
        if not 200 <= reply.status < 300:
            raise _status_failure(reply)
        return reply


@dataclass(frozen=True)
class _Reply:
    status: int
    text: str
    headers: Mapping[str, str]

    @property
    def correlation_id(self) -> str | None:
        return self.headers.get("X-HubSpot-Correlation-Id")


class _Bearer(AuthBase):
    # As an auth object rather than a header: requests would let a .netrc entry for the host replace a header.
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _transport_failure(error: requests.exceptions.RequestException) -> HubSpotFailure:
    reason = error.args[0].reason if error.args and isinstance(error.args[0], MaxRetryError) else None
    never_connected = isinstance(error, (requests.exceptions.ConnectTimeout, requests.exceptions.SSLError))
    if never_connected or isinstance(reason, (NewConnectionError, ProxyError)):
        return Unavailable(f"HubSpot could not be reached ({type(reason or error).__name__})")
    return Uncertain(f"the connection to HubSpot broke before it answered ({type(error).__name__})")


def _status_failure(reply: _Reply) -> HubSpotFailure:
    try:
        said = ErrorBody.model_validate_json(reply.text)
    except ValidationError:
        said = ErrorBody()  # an edge's HTML page, or nothing: the status alone decides
    message = said.message or f"HubSpot answered {reply.status} without a message"
    if reply.status in OWNER_MUST_MEND and (scopes := _missing_scopes(said)):
        message = f"{message} Missing scopes: {scopes}"
    return failure_type(reply.status)(
        message,
        http_status=reply.status,
        body=reply.text,
        correlation_id=reply.correlation_id or said.correlation_id,
        retry_after=_retry_after(reply.status, said, reply.headers.get("Retry-After")),
    )


def failure_type(status: int) -> type[HubSpotFailure]:
    """What a status that is not 2xx asks of its caller."""
    if status in NOTHING_APPLIED:
        return Unavailable
    if status in OWNER_MUST_MEND or status < 400:  # a redirect: the base URL is not HubSpot's
        return Misconfigured
    return Refused if status < 500 else Uncertain


def _retry_after(status: int, said: ErrorBody, header: str | None) -> float | None:
    if status == 423:
        return LOCK_SECONDS
    if status == 429:
        return DAILY_RECHECK_SECONDS if said.policy_name == "DAILY" else ROLLING_WINDOW_SECONDS
    if status == 477 and header and header.isdigit():
        return float(header)  # seconds, up to about a day, while the account is being moved
    return None


def _missing_scopes(said: ErrorBody) -> str:
    contexts = [detail.context for detail in said.errors or [] if detail.context]
    return "; ".join(
        c if isinstance(c, str) else ", ".join(s for scopes in c.values() for s in scopes) for c in contexts
    )


def _parsed(model: type[T], reply: _Reply) -> T:
    try:
        return model.model_validate_json(reply.text)
    except ValidationError as error:
        raise Uncertain(
            f"HubSpot answered {reply.status} with a body that could not be read",
            http_status=reply.status,
            body=reply.text,
            correlation_id=reply.correlation_id,
        ) from error
