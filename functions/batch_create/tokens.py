"""A bearer token for each portal, from the portal's own secret."""

from __future__ import annotations

import json

from batch_create.errors import Misconfigured
from batch_create.secret_store import SecretStore


class Tokens:
    """Tokens by portal. Raises Misconfigured, naming the secret at fault and never its content, or Unavailable."""

    def __init__(self, secrets: SecretStore, prefix: str) -> None:
        self._secrets = secrets
        self._prefix = prefix

    def secret_of(self, portal: str) -> str:
        """The name of the secret that holds a portal's token."""
        return f"{self._prefix}/{portal}"

    def bearer(self, portal: str, *, fresh: bool = False) -> str:
        """The token of a portal; `fresh` after HubSpot refused the one we knew."""
        name = self.secret_of(portal)
        token = _token(self._secrets.text(name, fresh=fresh))
        # Anything else cannot be a header's value; an empty one is the placeholder that a deployment leaves.
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise Misconfigured(
                f"the secret {name} holds no usable token: store the token as plain text, or as JSON with accessToken"
            )
        return token


def _token(text: str) -> str:
    text = text.strip()  # a line end comes along when a token is stored from a file
    if not text.startswith("{"):
        return text
    try:
        value = json.loads(text)
    except ValueError:
        return ""
    token = value.get("accessToken") if isinstance(value, dict) else None
    return token.strip() if isinstance(token, str) else ""
