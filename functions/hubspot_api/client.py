"""The one HTTP client of HubSpot. It never sends anything twice by itself: whether to is decided by its caller."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import requests
from requests.auth import AuthBase
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProxyError

from hubspot_api.deadline import answer_deadline, session_with_deadlines
from hubspot_api.retry_policy import rule
from model.access_token import RefreshedToken
from model.contract import LimitInput, LimitKey
from model.errors import HubSpotFailure, Misconfigured, OutOfTime, Refused, Unavailable, Uncertain
from model.hubspot_answer import BatchAnswer, ErrorBody, batch_answer, echoed_limit, error_body, json_object
from model.pair import Pair
from model.quota import Quota
from model.version import USER_AGENT
from runtime.redaction import redact

CONNECT_TIMEOUT = 3.05  # seconds; slightly over 3, TCP's first retransmission, as the requests documentation advises
LONGEST_READ = 20.0  # seconds; HubSpot answers well within this or not at all
LARGEST_ANSWER = 4 * 2**20  # bytes; a row of its answer has some 150, and the largest batch 2,000 rows
CHUNK = 2**16  # bytes, read and unpacked at once


LONGEST_LIFE = 1e9  # seconds; some 30 years; more is no number of seconds
WORD = re.compile(r"[!-~]+")  # what can be a header's value


@dataclass(frozen=True)
class Answer:
    """A 2xx of batch create: parsed, and word for word."""

    http_status: int
    text: str
    correlation_id: str | None
    body: BatchAnswer
    quota: Quota | None = None


class HubSpot:
    """Every call of HubSpot that we make. Raises the failures of `errors`, typed by what to do next."""

    def __init__(self, base_url: str, session: requests.Session | None = None) -> None:
        self._base_url = base_url
        self._session = session or session_with_deadlines()
        self._session.headers["User-Agent"] = USER_AGENT

    def batch_create(self, token: str, pair: Pair, inputs: Sequence[LimitInput], seconds: float) -> Answer:
        """Set limits, in at most `seconds`."""
        body = {"inputs": [item.as_json() for item in inputs]}
        reply = self._send("POST", token, f"{pair.path}/batch/create", seconds, json=body)
        answer = batch_answer(_read(reply, rows_required=False))
        return Answer(reply.status, reply.text, reply.correlation_id, answer, reply.quota)

    def read_pair(self, token: str, pair: Pair, seconds: float) -> dict[LimitKey, int | None]:
        """Every limit set on a pair, in at most `seconds`."""
        answer = _read(self._send("GET", token, pair.path, seconds), rows_required=True)
        rows = map(echoed_limit, answer["results"])
        return {
            (row.category, row.type_id): row.user_enforced_max_to_object_ids
            for row in rows
            if row.category is not None and row.type_id is not None
        }

    def hub_id(self, token: str, api_version: str, seconds: float) -> int:
        """The number of the account that a token is of, in at most `seconds`."""
        reply = self._send("GET", token, f"/account-info/{api_version}/details", seconds)
        account = (json_object(reply.text) or {}).get("portalId")
        if not isinstance(account, int):
            raise _unreadable(reply)
        return account

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
            reply = self._exchange(
                "POST", f"/oauth/{api_version}/token", seconds, auth=_unsigned, secrets=secrets, data=form
            )
        except (Refused, Misconfigured) as failure:
            raise _refused_refresh(failure, secrets) from None
        refreshed = _refreshed(json_object(reply.text) or {})
        if refreshed is None:
            # Without the body: it shows what may be the new token.
            raise Uncertain(
                f"HubSpot answered {reply.status} to a refresh, with a body that could not be read",
                http_status=reply.status,
                correlation_id=reply.correlation_id,
            )
        return refreshed

    def _send(self, method: str, token: str, path: str, seconds: float, json: Any = None) -> _Reply:
        # What HubSpot says is kept and shown, so a token that it repeats is taken out here, before anybody sees it.
        return self._exchange(method, path, seconds, auth=_Bearer(token), secrets=(token,), json=json).without((token,))

    def _exchange(
        self,
        method: str,
        path: str,
        seconds: float,
        *,
        auth: Callable[[requests.PreparedRequest], requests.PreparedRequest],
        secrets: Collection[str],
        json: Any = None,
        data: Mapping[str, str] | None = None,
    ) -> _Reply:
        """One exchange. A 2xx is returned as it is; a failure is raised without the `secrets` that HubSpot repeats."""
        read_timeout = min(LONGEST_READ, seconds - CONNECT_TIMEOUT)
        if read_timeout <= 0:
            raise OutOfTime("no time was left in this invocation to call HubSpot")
        with answer_deadline(read_timeout) as limit:
            try:
                response = self._session.request(
                    method,
                    f"{self._base_url}{path}",
                    json=json,
                    data=data,
                    auth=auth,
                    timeout=(CONNECT_TIMEOUT, read_timeout),
                    allow_redirects=False,  # a redirect must never carry the token to another place
                    stream=True,
                )
                text = _text_of(response)
            except requests.exceptions.RequestException as error:
                raise _transport_failure(error, sent=limit.sent) from error
        reply = _Reply(response.status_code, text, response.headers)
        if not 200 <= reply.status < 300:
            raise _status_failure(reply.without(secrets), secrets)
        return reply


@dataclass(frozen=True)
class _Reply:
    status: int
    text: str = field(repr=False)
    headers: Mapping[str, str]

    def without(self, secrets: Collection[str]) -> _Reply:
        return replace(self, text=redact(self.text, secrets))

    @property
    def correlation_id(self) -> str | None:
        return self.headers.get("X-HubSpot-Correlation-Id")

    @property
    def quota(self) -> Quota | None:
        return quota_from(self.headers)


class _Bearer(AuthBase):
    # As an auth object rather than a header: requests would let a .netrc entry for the host replace a header.
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _unsigned(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request  # not None, for which requests would look into .netrc


def _text_of(response: requests.Response) -> str:
    """The body of an answer, or none where it is larger than HubSpot has any reason for, packed or unpacked: then it is
    one that cannot be read, under the status that it came with."""
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
    said = error_body(json_object(failure.body))
    reasons = (said.status, said.error)
    named = ", ".join(reason for reason in reasons if reason and reason != "error")
    return Misconfigured(
        redact(f"{named}: {failure.message}" if named else failure.message, secrets),
        http_status=failure.http_status,
        body=failure.body,
        correlation_id=failure.correlation_id,
        portal_wide=True,
    )


def _status_failure(reply: _Reply, secrets: Collection[str]) -> HubSpotFailure:
    said = error_body(json_object(reply.text))
    message = said.message or f"HubSpot answered {reply.status} without a message"
    asked = rule(reply.status)
    if asked.failure is Misconfigured and (scopes := _missing_scopes(said)):
        message = f"{message} Missing scopes: {scopes}"
    message = redact(message, secrets)  # once more: JSON can write any character in another way
    daily = reply.status == 429 and said.policy_name == "DAILY"
    return asked.failure(
        message,
        http_status=reply.status,
        body=reply.text,
        correlation_id=reply.correlation_id or said.correlation_id,
        retry_after=max(asked.floor, _retry_after(reply)) or None,
        daily=daily,
        portal_wide=asked.portal_wide,
        quota=reply.quota,
    )


def _retry_after(reply: _Reply) -> float:
    """Seconds, where HubSpot defines the header: while an account is being moved, up to about a day."""
    header = reply.headers.get("Retry-After", "")
    return float(header) if reply.status == 477 and header.isdecimal() else 0.0


def _missing_scopes(said: ErrorBody) -> str:
    contexts = [detail.context for detail in said.errors if detail.context]
    return "; ".join(
        c if isinstance(c, str) else ", ".join(s for scopes in c.values() for s in scopes) for c in contexts
    )


def _read(reply: _Reply, *, rows_required: bool) -> dict[str, Any]:
    """The body of an answer with `results`. What has other rows than objects is none."""
    body = json_object(reply.text)
    rows = None if body is None else body.get("results", None if rows_required else [])
    if body is None or not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _unreadable(reply)
    return body


def _unreadable(reply: _Reply) -> Uncertain:
    return Uncertain(
        f"HubSpot answered {reply.status} with a body that could not be read",
        http_status=reply.status,
        body=reply.text,
        correlation_id=reply.correlation_id,
    )


def _refreshed(body: Mapping[str, Any]) -> RefreshedToken | None:
    token, life, replaced = (body.get(name) for name in ("access_token", "expires_in", "refresh_token"))
    try:
        seconds = float(life)  # type: ignore[arg-type]  # a TypeError where it is no number
    except (TypeError, ValueError):
        return None
    if not _is_word(token) or not (replaced is None or _is_word(replaced)) or not 0 <= seconds <= LONGEST_LIFE:
        return None
    return RefreshedToken(str(token), seconds, replaced)


def _is_word(value: object) -> bool:
    return isinstance(value, str) and WORD.fullmatch(value) is not None


def quota_from(headers: Mapping[str, str]) -> Quota | None:
    """The quota that an answer's X-HubSpot-RateLimit headers tell, or None where they do not make sense."""
    calls, milliseconds = _number(headers, "Max"), _number(headers, "Interval-Milliseconds")
    if not calls or not milliseconds:
        return None
    return Quota(calls, milliseconds / 1000, _number(headers, "Remaining"))


def _number(headers: Mapping[str, str], name: str) -> int | None:
    text = headers.get(f"X-HubSpot-RateLimit-{name}", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None
