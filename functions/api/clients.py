"""Who may call the webhook: client keys, of which the secret holds only SHA-256 hashes, and what each client may do."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from voluptuous import REMOVE_EXTRA, Invalid, Optional, Schema

from aws.secrets_manager import SecretStore
from model.contract import ContractError, Problem
from model.errors import Misconfigured
from model.records import names
from model.validation import (
    Check,
    Each,
    OrNone,
    Text,
    WholeNumber,
    check,
    flag,
    line,
    moment,
    object_type,
    portal_name,
    required,
    strict,
)
from runtime.redaction import remember

ANY = "*"
HUBSPOT = "hubspot"  # in the ledger, the client of what HubSpot itself has sent and signed
SCHEME = "bearer"
MAX_KEYS = 2  # of a client: the one in use and the one that replaces it
# For so long what is not known is not looked up again: new keys work almost at once, and guesses cost few calls.
RECHECK_AFTER = timedelta(seconds=10)

# An IAM role or user. Roles have no path here: their names are told apart without, and sessions do not tell it.
PRINCIPAL = r"arn:aws[a-z-]*:iam::\d{12}:(role/[\w+=,.@-]+|user/[\w+=,.@/-]+)"
SESSION = re.compile(r"arn:(?P<partition>aws[a-z-]*):sts::(?P<account>\d{12}):assumed-role/(?P<role>[^/]+)/.+")


class Unauthenticated(Exception):
    """Nobody known sent this request. Its text is safe to show: it never holds the key. `reason` is for the metric."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Forbidden(Exception):
    """The client is known, but may not do this."""


class TooManyRequests(Exception):
    """The client is known, and has asked too often. It may again in `seconds`."""

    def __init__(self, client: str, most: int, seconds: int) -> None:
        super().__init__(f"the client {client} may send {most} requests a minute, and has")
        self.seconds = seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A client as the secret tells of it."""

    name: str
    key_sha256: tuple[str, ...] = ()
    principals: tuple[str, ...] = ()
    portals: tuple[str, ...]
    object_types: tuple[str, ...] = (ANY,)
    expires_at: datetime | None = None
    may_replay: bool = False
    requests_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class Clients:
    """What the secret holds. Raises ContractError where two of them cannot be told apart."""

    clients: tuple[Entry, ...]

    def __post_init__(self) -> None:
        wrong = [
            Problem("", f"each {what} must be of one client only")
            for what, values in (
                ("name", [entry.name for entry in self.clients]),
                ("keySha256", [known for entry in self.clients for known in entry.key_sha256]),
                ("principal", [each for entry in self.clients for each in entry.principals]),
            )
            if len(set(values)) < len(values)
        ]
        if any(entry.name == HUBSPOT for entry in self.clients):
            wrong.append(Problem("", f"the name {HUBSPOT} is that of what HubSpot signs"))
        if wrong:
            raise ContractError(wrong)


def _any_or(check: Check) -> Check:
    return lambda value: value if value == ANY else check(value)


def _key_hash(value: Any) -> str:
    return KEY_HASH(value.strip().lower() if isinstance(value, str) else value)


def _expiry(value: Any) -> datetime:
    seconds = type(value) in (int, float) and abs(value) < FAR_FUTURE
    return datetime.fromtimestamp(value, UTC) if seconds else moment(value)


def _rate(value: Any) -> int:
    return RATE(int(value) if isinstance(value, str) and re.fullmatch(r"\d{1,9}", value) else value)


def _entry(value: Any) -> Entry:
    known = ENTRY(value)
    if not known.get("keySha256") and not known.get("principals"):
        raise Invalid("keySha256 or principals must name at least one")
    return Entry(**{field: known[name] for field, name in names(Entry) if known.get(name) is not None})


KEY_HASH = Text(r"^[0-9a-f]{64}$")
RATE = WholeNumber(1)
FAR_FUTURE = 2e10  # seconds since 1970; more are milliseconds, or no time at all
# What is not known here is refused, lest a misspelt bound be none.
ENTRY = strict(
    {
        required("name"): line(1, 100),
        Optional("keySha256"): Each(_key_hash, 0, MAX_KEYS, "value"),
        Optional("principals"): Each(Text(f"^{PRINCIPAL}$")),
        required("portals"): Each(_any_or(portal_name), 1),
        Optional("objectTypes"): Each(_any_or(object_type), 1),
        Optional("expiresAt"): OrNone(_expiry),
        Optional("mayReplay"): flag,
        Optional("requestsPerMinute"): OrNone(_rate),
    },
    "is not a field of a client; check its spelling",
)
CLIENTS = Schema({required("clients"): Each(_entry)}, extra=REMOVE_EXTRA)


def entry(value: object) -> Entry:
    """A client, out of JSON. Raises ContractError with every bad field."""
    made: Entry = check(Schema(_entry), value)
    return made


@dataclass(frozen=True)
class Client:
    """A known caller, and the portals and object types it may use; `*` stands for all."""

    name: str
    portals: frozenset[str]
    object_types: frozenset[str] = frozenset({ANY})
    may_replay: bool = False
    requests_per_minute: int | None = None
    signed_as: str | None = None  # by HubSpot, for one request alone: what a repetition of it is known by

    def may_see(self, portal: str, *object_types: str | None) -> bool:
        """Whether it may use a portal, and each of these object types as they are spelt; None is one nobody knows."""
        return _within(self.portals, portal) and all(_within(self.object_types, name) for name in object_types)

    def require(self, portal: str, *object_types: str) -> None:
        """Raise Forbidden unless this client may use a portal, and each of these object types as they are spelt."""
        if not self.may_see(portal):
            raise Forbidden(f"the client {self.name} may not use the portal {portal}")
        for name in object_types:
            if not self.may_see(portal, name):
                raise Forbidden(f"the client {self.name} may not use the object type {name}")

    def require_replay(self) -> None:
        """Raise Forbidden unless this client may replay outcomes."""
        if not self.may_replay:
            raise Forbidden(f"the client {self.name} may not replay: its entry needs mayReplay")


def authenticate(authorization: str | None, secrets: SecretStore, secret: str, now: datetime) -> Client:
    """The client whose key an Authorization header presents. Raises Unauthenticated, or Misconfigured and Unavailable
    when the secret with the clients cannot be read."""
    scheme, _, key = (authorization or "").strip().partition(" ")
    if scheme.lower() != SCHEME or not key.strip():
        raise Unauthenticated("missing", "send the header Authorization: Bearer <client key>")
    digest = hashlib.sha256(key.strip().encode(errors="replace")).hexdigest().encode()
    client = _known("the client key", lambda clients: _holder(digest, clients), secrets, secret, now)
    remember([key.strip()])  # not one that is unknown: whoever guesses would have others forgotten
    return client


def recognise(principal: str | None, secrets: SecretStore, secret: str, now: datetime) -> Client:
    """The client of an IAM role or user, of which API Gateway has checked the signature. Raises as `authenticate`."""
    if not principal:
        raise Unauthenticated("missing", "sign the request as an IAM role or user (AWS Signature Version 4)")
    session = SESSION.fullmatch(principal)
    arn = "arn:{partition}:iam::{account}:role/{role}".format(**session.groupdict()) if session else principal

    def holder(clients: Clients) -> Entry | None:
        return next((entry for entry in clients.clients if arn in entry.principals), None)

    return _known(f"the principal {arn}", holder, secrets, secret, now)


def parse(text: str, secret: str) -> Clients:
    """The clients in a secret's text. Raises Misconfigured, which shows nothing of the text but where it is wrong."""
    try:
        return Clients(check(CLIENTS, json.loads(text))["clients"])
    except ContractError as error:
        wrong = "; ".join(f"{problem.field or 'the whole'}: {problem.message}" for problem in error.problems)
    except (ValueError, RecursionError):
        wrong = "the whole: is not valid JSON"
    # Outside of that block: the error's text would show parts of the secret, and would come along as a context.
    raise Misconfigured(f"the secret {secret} does not hold a list of clients ({wrong})")


def _known(
    who: str, holder: Callable[[Clients], Entry | None], secrets: SecretStore, secret: str, now: datetime
) -> Client:
    refusal = Unauthenticated("unknown", f"{who} is not known")
    for version in secrets.recent(secret, RECHECK_AFTER):
        if found := holder(parse(version.text, secret)):
            if found.expires_at is None or now < found.expires_at:
                return Client(
                    found.name,
                    frozenset(found.portals),
                    frozenset(found.object_types),
                    found.may_replay,
                    found.requests_per_minute,
                )
            refusal = Unauthenticated("expired", f"{who} has expired")
    raise refusal


def _holder(digest: bytes, clients: Clients) -> Entry | None:
    found: Entry | None = None
    # Every hash of every client is compared, so that the time taken tells nothing about how near a guess was.
    for entry in clients.clients:
        for known in entry.key_sha256:
            if hmac.compare_digest(digest, known.encode()):
                found = entry
    return found


def _within(allowed: frozenset[str], name: str | None) -> bool:
    return ANY in allowed or name in allowed
