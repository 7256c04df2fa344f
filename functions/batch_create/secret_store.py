"""Secrets Manager, with a memory of a few minutes so that a warm function does not ask for each request."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from batch_create.errors import Misconfigured, Unavailable

if TYPE_CHECKING:
    from types_boto3_secretsmanager import SecretsManagerClient

MEMORY = timedelta(minutes=5)
# What no retry mends: the owner must create the secret, or let the function read it.
PERMANENT = {
    "ResourceNotFoundException",
    "AccessDeniedException",
    "InvalidRequestException",
    "DecryptionFailure",
}


class SecretStore:
    """Texts of secrets by name. Raises Misconfigured (missing, not allowed) or Unavailable (try again)."""

    def __init__(self, client: SecretsManagerClient, clock: Callable[[], datetime]) -> None:
        self._client = client
        self._clock = clock
        self._known: dict[str, tuple[str, datetime]] = {}

    def text(self, name: str, *, fresh: bool = False) -> str:
        """The current text of a secret, at most five minutes old; `fresh` asks Secrets Manager in any case."""
        known = self._known.get(name)
        if known and not fresh and self._clock() - known[1] < MEMORY:
            return known[0]
        try:
            value = self._client.get_secret_value(SecretId=name).get("SecretString", "")
        except ClientError as error:
            code = error.response["Error"]["Code"]
            failure = Misconfigured if code in PERMANENT else Unavailable
            raise failure(f"the secret {name} could not be read ({code})") from error
        except BotoCoreError as error:
            raise Unavailable(f"the secret {name} could not be read ({type(error).__name__})") from error
        self._known[name] = (value, self._clock())
        return value
