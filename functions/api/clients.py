"""Who may call the webhook: client keys, of which the secret holds only SHA-256 hashes, and what each client may do."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from aws.secrets_manager import SecretStore
from model.contract import ObjectType, PortalName, SingleLine
from model.errors import Misconfigured
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
Principal = Annotated[str, StringConstraints(pattern=f"^{PRINCIPAL}$")]
KeyHash = Annotated[str, StringConstraints(strip_whitespace=True, to_lower=True, pattern=r"^[0-9A-Fa-f]{64}$")]


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


class Entry(BaseModel):
    """A client as the secret tells of it. What is not known here is refused, lest a misspelt bound be none."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", populate_by_name=True, serialize_by_alias=True)

    name: Annotated[SingleLine, StringConstraints(min_length=1, max_length=100)]
    key_sha256: Annotated[list[KeyHash], Field(alias="keySha256", max_length=MAX_KEYS)] = []
    principals: list[Principal] = []
    portals: Annotated[list[PortalName | Literal["*"]], Field(min_length=1)]
    object_types: Annotated[list[ObjectType | Literal["*"]], Field(min_length=1)] = [ANY]
    expires_at: AwareDatetime | None = None
    may_replay: bool = False
    requests_per_minute: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _known_by_something(self) -> Self:
        if not self.key_sha256 and not self.principals:
            raise ValueError("keySha256 or principals must name at least one")
        return self


class Clients(BaseModel):
    """What the secret holds."""

    clients: list[Entry]

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        for what, values in (
            ("name", [entry.name for entry in self.clients]),
            ("keySha256", [known for entry in self.clients for known in entry.key_sha256]),
            ("principal", [each for entry in self.clients for each in entry.principals]),
        ):
            if len(set(values)) < len(values):
                raise ValueError(f"each {what} must be of one client only")
        if any(entry.name == HUBSPOT for entry in self.clients):
            raise ValueError(f"the name {HUBSPOT} is that of what HubSpot signs")
        return self


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
        return Clients.model_validate_json(text)
    except ValidationError as error:
        details = error.errors(include_input=False, include_url=False, include_context=False)
        wrong = "; ".join(f"{'.'.join(map(str, each['loc'])) or 'the whole'}: {each['msg']}" for each in details)
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
