"""Who may call the webhook: client keys, of which the secret holds only SHA-256 hashes."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from batch_create.errors import Misconfigured
from batch_create.secret_store import SecretStore

ANY = "*"
SCHEME = "bearer"


class Unauthenticated(Exception):
    """No valid client key came with the request. Its text is safe to show: it never holds the key."""


class Forbidden(Exception):
    """The client is known, but may not use this portal."""


class _Entry(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)

    name: str = Field(min_length=1)
    # Several, so that a key can be changed without a moment in which none is valid.
    key_sha256: list[str] = Field(alias="keySha256")
    portals: list[str]


class _Clients(BaseModel):
    clients: list[_Entry]


@dataclass(frozen=True)
class Client:
    """A known caller and the portals it may use; `*` stands for all."""

    name: str
    portals: frozenset[str]

    def may_use(self, portal: str) -> bool:
        return ANY in self.portals or portal in self.portals

    def require(self, portal: str) -> None:
        """Raise Forbidden unless this client may use a portal."""
        if not self.may_use(portal):
            raise Forbidden(f"the client {self.name} may not use the portal {portal}")


def authenticate(authorization: str | None, secrets: SecretStore, secret: str) -> Client:
    """The client whose key an Authorization header presents. Raises Unauthenticated, or Misconfigured and Unavailable
    when the secret with the clients cannot be read."""
    scheme, _, key = (authorization or "").strip().partition(" ")
    if scheme.lower() != SCHEME or not key.strip():
        raise Unauthenticated("send the header Authorization: Bearer <client key>")
    digest = hashlib.sha256(key.strip().encode()).hexdigest().encode()
    found: _Entry | None = None
    # Every hash of every client is compared, so that the time taken tells nothing about how near a guess was.
    for entry in _clients(secrets.text(secret), secret).clients:
        for known in entry.key_sha256:
            if hmac.compare_digest(digest, known.strip().lower().encode()):
                found = entry
    if found is None:
        raise Unauthenticated("the client key is not known")
    return Client(found.name, frozenset(found.portals))


def _clients(text: str, secret: str) -> _Clients:
    try:
        return _Clients.model_validate_json(text)
    except ValidationError:
        # Without the cause: its text would show parts of the secret.
        raise Misconfigured(f"the secret {secret} does not hold a list of clients") from None
