"""Who may call the webhook: client keys, of which the secret holds only SHA-256 hashes, and what each client may do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from voluptuous import REMOVE_EXTRA, All, Invalid, Lower, Optional, Schema, Strip
from voluptuous import Any as AnyOf

from model import validation
from model.contract import ContractError, Problem
from model.errors import Misconfigured
from model.object_types import object_type_id
from model.outcomes import Outcome
from model.records import names
from model.validation import Each, OrNone, Text, WholeNumber, required

ANY = "*"
HUBSPOT = "hubspot"  # in the ledger, the client of what HubSpot itself has sent and signed
UNTIL = "until HubSpot has told its id"
MAX_KEYS = 2  # of a client: the one in use and the one that replaces it

Known = Callable[[str, str], str | None]  # a type's id by a portal and a name; None where only HubSpot could tell

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

    def may_use(self, portal: str) -> bool:
        """Whether it may use a portal."""
        return ANY in self.portals or portal in self.portals

    def may_read(self, outcome: Outcome, known: Known) -> bool:
        """Whether it may use the portal and the pair of an outcome. What is not known to be allowed is not."""
        pair = outcome.from_object_type, outcome.to_object_type
        return self.may_use(outcome.portal) and all(self._refusal(outcome.portal, name, known) is None for name in pair)

    def readable(self, outcomes: Iterable[Outcome], known: Known) -> list[Outcome]:
        """Those of the outcomes that it may read."""
        once = cache(known)  # a page has many outcomes of few types
        return [outcome for outcome in outcomes if self.may_read(outcome, once)]

    def require_portal(self, portal: str) -> None:
        """Raise Forbidden unless this client may use a portal."""
        if not self.may_use(portal):
            raise Forbidden(f"the client {self.name} may not use the portal {portal}")

    def require(self, portal: str, object_types: Iterable[str], known: Known) -> None:
        """Raise Forbidden unless this client may use a portal and each of these object types, by whatever names."""
        self.require_portal(portal)
        for name in object_types:
            if refusal := self._refusal(portal, name, known):
                raise Forbidden(refusal)

    def _refusal(self, portal: str, name: str | None, known: Known) -> str | None:
        """Why it may not use an object type; None if it may. HubSpot's own types in its entry are compared first, as
        that needs nobody."""
        if ANY in self.object_types:
            return None
        type_id = known(portal, name) if name else None  # a message that was no request has no types
        if type_id is None:
            return f"the object type {name} cannot be compared with those of the client {self.name} {UNTIL}"
        if type_id in map(object_type_id, self.object_types):
            return None
        unknown = []
        for entry in self.object_types:
            if object_type_id(entry) is None:
                entry_id = known(portal, entry)
                if entry_id == type_id:
                    return None
                if entry_id is None:
                    unknown.append(entry)
        refusal = f"the client {self.name} may not use the object type {name}"
        return f"{refusal}; its {', '.join(unknown)} cannot be compared {UNTIL}" if unknown else refusal

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
