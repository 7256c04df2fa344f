"""Who may call the webhook: client keys, of which the secret holds only SHA-256 hashes, and what each client may do."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from voluptuous import REMOVE_EXTRA, All, Invalid, Lower, Optional, Schema, Strip
from voluptuous import Any as AnyOf

from model import validation
from model.contract import ContractError, Problem
from model.errors import Misconfigured
from model.outcomes import Outcome
from model.records import names
from model.validation import Each, OrNone, Text, WholeNumber, required

ANY = "*"
HUBSPOT = "hubspot"  # in the ledger, the client of what HubSpot itself has sent and signed
MAX_KEYS = 2  # of a client: the one in use and the one that replaces it

# An IAM role or user. A role is given without its path: the ARN of a session does not have it.
PRINCIPAL = r"arn:aws[a-z-]*:iam::\d{12}:(role/[\w+=,.@-]+|user/[\w+=,.@/-]+)"


class Forbidden(Exception):
    """The client is known, but may not do this."""


@dataclass(frozen=True, slots=True)
class Client:
    """A caller, as the secret lists it: the portals and object types that it may use; `*` stands for all."""

    name: str
    portals: Collection[str]
    object_types: Collection[str] = (ANY,)
    key_sha256: tuple[str, ...] = ()
    principals: tuple[str, ...] = ()
    expires_at: datetime | None = None
    may_replay: bool = False
    requests_per_minute: int | None = None
    signed_as: str | None = None  # by HubSpot, for one request: by this a repetition of the request is recognised

    def may_see(self, portal: str, *object_types: str | None) -> bool:
        """Whether it may use a portal and each of these object types, compared as spelt. None is an unknown type."""
        types_allowed = ANY in self.object_types or all(name in self.object_types for name in object_types)
        return types_allowed and (ANY in self.portals or portal in self.portals)

    def may_read(self, outcome: Outcome) -> bool:
        """Whether it may use the portal and the pair of an outcome."""
        return self.may_see(outcome.portal, outcome.from_object_type, outcome.to_object_type)

    def require(self, portal: str, *object_types: str) -> None:
        """Raise Forbidden unless this client may use a portal and each of these object types, compared as spelt."""
        if not self.may_see(portal):
            raise Forbidden(f"the client {self.name} may not use the portal {portal}")
        for name in object_types:
            if not self.may_see(portal, name):
                raise Forbidden(f"the client {self.name} may not use the object type {name}")

    def require_replay(self) -> None:
        """Raise Forbidden unless this client may replay outcomes."""
        if not self.may_replay:
            raise Forbidden(f"the client {self.name} may not replay: its entry needs mayReplay")


@dataclass(frozen=True, slots=True)
class Clients:
    """The secret's list. Raises ContractError where two of its clients cannot be distinguished."""

    clients: tuple[Client, ...]

    def __post_init__(self) -> None:
        unique = {
            "name": [client.name for client in self.clients],
            "keySha256": [digest for client in self.clients for digest in client.key_sha256],
            "principal": [principal for client in self.clients for principal in client.principals],
        }
        wrong = [
            Problem("", f"each {what} must be of one client only")
            for what, values in unique.items()
            if len(set(values)) < len(values)
        ]
        if HUBSPOT in unique["name"]:
            wrong.append(Problem("", f"the name {HUBSPOT} is that of what HubSpot signs"))
        if wrong:
            raise ContractError(wrong)


def _expiry(value: Any) -> datetime:
    seconds = type(value) in (int, float) and abs(value) < FAR_FUTURE
    return datetime.fromtimestamp(value, UTC) if seconds else validation.moment(value)


def _rate(value: Any) -> int:
    return RATE(int(value) if isinstance(value, str) and re.fullmatch(r"\d{1,9}", value) else value)


def _client(value: Any) -> Client:
    known = CLIENT(value)
    if not known.get("keySha256") and not known.get("principals"):
        raise Invalid("keySha256 or principals must name at least one")
    return Client(**{field: known[name] for field, name in names(Client) if known.get(name) is not None})


KEY_HASH = All(Text(), Strip, Lower, Text(r"^[0-9a-f]{64}$"))
RATE = WholeNumber(1)
FAR_FUTURE = 2e10  # seconds since 1970; more are milliseconds, or no time at all
# An unknown field is refused: a misspelt bound would be no bound.
CLIENT = validation.strict(
    {
        required("name"): validation.line(1, 100),
        Optional("keySha256"): Each(KEY_HASH, 0, MAX_KEYS, "value"),
        Optional("principals"): Each(Text(f"^{PRINCIPAL}$")),
        required("portals"): Each(AnyOf(validation.portal_name, ANY), 1),
        Optional("objectTypes"): Each(AnyOf(validation.object_type, ANY), 1),
        Optional("expiresAt"): OrNone(_expiry),
        Optional("mayReplay"): validation.flag,
        Optional("requestsPerMinute"): OrNone(_rate),
    },
    "is not a field of a client; check its spelling",
)
CLIENTS = Schema({required("clients"): Each(_client)}, extra=REMOVE_EXTRA)


def parse_client(value: object) -> Client:
    """A client, from parsed JSON. Raises ContractError with every bad field."""
    made: Client = validation.check(Schema(_client), value)
    return made


def parse(text: str, secret: str) -> Clients:
    """The clients in a secret's text. Raises Misconfigured, which shows nothing of the text but where it is wrong."""
    try:
        return Clients(validation.check(CLIENTS, json.loads(text))["clients"])
    except ContractError as error:
        wrong = "; ".join(f"{problem.field or 'the whole'}: {problem.message}" for problem in error.problems)
    except (ValueError, RecursionError):
        wrong = "the whole: is not valid JSON"
    # Outside of that block: the error's text would show parts of the secret, and would come along as a context.
    raise Misconfigured(f"the secret {secret} does not hold a list of clients ({wrong})")
