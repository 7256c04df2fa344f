"""The one HTTP client of HubSpot. It never sends anything twice: that is for its caller to decide."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import requests
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProxyError

from hubspot_api.deadline import answer_deadline, session_with_deadlines
from hubspot_api.reply import Reply
from model.access_token import RefreshedToken
from model.contract import LimitInput, LimitKey
from model.errors import HubSpotFailure, Misconfigured, OutOfTime, Refused, Unavailable, Uncertain
from model.hubspot_answer import BatchAnswer, batch_answer, echoed_limit, error_body, json_object
from model.object_types import ID
from model.pair import Address
from model.quota import Quota
from model.version import USER_AGENT
from runtime.redaction import redact

CONNECT_TIMEOUT = 3.05  # seconds; slightly over 3, TCP's first retransmission, as the requests documentation advises
LONGEST_READ = 20.0  # seconds; HubSpot answers well within this or not at all
LARGEST_ANSWER = 4 * 2**20  # bytes; a row of its answer has some 150, and the largest batch 2,000 rows
CHUNK = 2**16  # bytes, read and unpacked at once
LONGEST_LIFE = 1e9  # seconds that a token may last; some 30 years
WORD = re.compile(r"[!-~]+")  # what can be a header's value

Auth = Callable[[requests.PreparedRequest], requests.PreparedRequest]


@dataclass(frozen=True)
class Answer:
    """A 2xx of batch create: parsed, and word for word."""

    http_status: int
    text: str
    correlation_id: str | None
    body: BatchAnswer
    quota: Quota | None = None


class HubSpot:
    """Every call of HubSpot that we make. Raises the failures of `model.errors`, typed by what to do next."""

    def __init__(self, base_url: str, session: requests.Session | None = None) -> None:
        self._base_url = base_url
        self._session = session or session_with_deadlines()
        self._session.headers["User-Agent"] = USER_AGENT

    def batch_create(self, token: str, address: Address, inputs: Sequence[LimitInput], seconds: float) -> Answer:
        """Set limits, in at most `seconds`."""
        body = {"inputs": [item.as_json() for item in inputs]}
        reply = self._send("POST", token, f"{address.path}/batch/create", seconds, json=body)
        answer = batch_answer(reply.rows(required=False))
        return Answer(reply.status, reply.text, reply.correlation_id, answer, reply.quota)

    def read_pair(self, token: str, address: Address, seconds: float) -> dict[LimitKey, int | None]:
        """Every limit set on a pair, in at most `seconds`."""
        reply = self._send("GET", token, address.path, seconds)
        rows = map(echoed_limit, reply.rows(required=True)["results"])
        return {
            (row.category, row.type_id): row.user_enforced_max_to_object_ids
            for row in rows
            if row.category is not None and row.type_id is not None
        }

    def hub_id(self, token: str, api_version: str, seconds: float) -> int:
        """The number of the account that a token belongs to, in at most `seconds`."""
        reply = self._send("GET", token, f"/account-info/{api_version}/details", seconds)
        account = (json_object(reply.text) or {}).get("portalId")
        if not isinstance(account, int):
            raise reply.unreadable()
        return account

    def object_type(self, token: str, api_version: str, name: str, seconds: float) -> str:
        """The id of the object type that a name stands for in the token's account, in at most `seconds`."""
        reply = self._send("GET", token, f"/crm-object-schemas/{api_version}/schemas/{name}", seconds)
        type_id = (json_object(reply.text) or {}).get("objectTypeId")
        if not isinstance(type_id, str) or not ID.fullmatch(type_id):
            raise reply.unreadable()
        return type_id

    def refresh(
        self, client_id: str, client_secret: str, refresh_token: str, api_version: str, seconds: float
    ) -> RefreshedToken:
        """A new access token of an OAuth app, in at most `seconds`. Every refusal is Misconfigured, as only the owner
        can mend it, and its message begins with HubSpot's reason, such as BAD_REFRESH_TOKEN."""
        form = {
            "grant_type": "refresh_token",
            "client_id": client_id,
            "client_secret": client_secret,
            "refresh_token": refresh_token,
        }
        secrets = (client_secret, refresh_token)
        try:
            reply = self._exchange("POST", f"/oauth/{api_version}/token", seconds, _unsigned, secrets, data=form)
        except (Refused, Misconfigured) as failure:
            raise _refused_refresh(failure, secrets) from None
        refreshed = _refreshed(json_object(reply.text) or {})
        if refreshed is None:
            raise reply.unreadable(shown=False)  # the body may hold the new token
        return refreshed

    def _send(self, method: str, token: str, path: str, seconds: float, **content: Any) -> Reply:
        # HubSpot's words are kept and shown, so a token that it repeats is taken out here, before anybody sees it.
        return self._exchange(method, path, seconds, _bearer(token), (token,), **content).without((token,))

    def _exchange(
        self, method: str, path: str, seconds: float, auth: Auth, secrets: Collection[str], **content: Any
    ) -> Reply:
        """One exchange. Returns a 2xx as it is, and raises any other answer without the `secrets` that it repeats."""
        read_timeout = min(LONGEST_READ, seconds - CONNECT_TIMEOUT)
        if read_timeout <= 0:
            raise OutOfTime("no time was left in this invocation to call HubSpot")
        with answer_deadline(read_timeout) as limit:
            try:
                response = self._session.request(
                    method,
                    f"{self._base_url}{path}",
                    auth=auth,
                    timeout=(CONNECT_TIMEOUT, read_timeout),
                    allow_redirects=False,  # a redirect must never carry the token to another place
                    stream=True,
                    **content,
                )
                reply = Reply(response.status_code, _text_of(response), response.headers)
            except requests.exceptions.RequestException as error:
                raise _transport_failure(error, sent=limit.sent) from error
        if not 200 <= reply.status < 300:
            raise reply.failure(secrets)
        return reply


def _bearer(token: str) -> Auth:
    """An auth function rather than a header: requests would let a .netrc entry for the host replace a header."""

    def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {token}"
        return request

    return sign


def _unsigned(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request  # not None, for which requests would look into .netrc


def _text_of(response: requests.Response) -> str:
    """The body of an answer, or "" where it is larger than HubSpot has any reason for: then nobody can read it."""
    body = bytearray()
    with response:
        for chunk in response.iter_content(CHUNK):
            body += chunk
            if len(body) > LARGEST_ANSWER:
                return ""
    return body.decode(errors="replace")


def _transport_failure(error: requests.exceptions.RequestException, *, sent: bool) -> HubSpotFailure:
    reason = error.args[0].reason if error.args and isinstance(error.args[0], MaxRetryError) else None
    never_connected = isinstance(error, (requests.exceptions.ConnectTimeout, requests.exceptions.SSLError))
    if not sent and (never_connected or isinstance(reason, (NewConnectionError, ProxyError))):
        return Unavailable(f"HubSpot could not be reached ({type(reason or error).__name__})")
    return Uncertain(f"the connection to HubSpot broke before it answered ({type(error).__name__})")


def _refused_refresh(failure: HubSpotFailure, secrets: Collection[str]) -> Misconfigured:
    error = error_body(json_object(failure.body))
    reasons = ", ".join(reason for reason in (error.status, error.error) if reason and reason != "error")
    return Misconfigured(
        redact(f"{reasons}: {failure.message}" if reasons else failure.message, secrets),
        http_status=failure.http_status,
        body=failure.body,
        correlation_id=failure.correlation_id,
        portal_wide=True,
    )


def _refreshed(body: Mapping[str, Any]) -> RefreshedToken | None:
    token, next_token = body.get("access_token"), body.get("refresh_token")
    try:
        seconds = float(body["expires_in"])
    except (KeyError, TypeError, ValueError):
        return None
    if not _is_word(token) or not (next_token is None or _is_word(next_token)) or not 0 <= seconds <= LONGEST_LIFE:
        return None
    return RefreshedToken(str(token), seconds, next_token)


def _is_word(value: object) -> bool:
    return isinstance(value, str) and WORD.fullmatch(value) is not None
