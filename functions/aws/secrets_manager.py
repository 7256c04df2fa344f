"""Secrets Manager, with a memory of a few minutes, so that a warm function does not ask for each request."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_OID, uuid5

from botocore.exceptions import BotoCoreError, ClientError

from model.errors import HubSpotFailure, Misconfigured, SecretMissing, Unavailable
from runtime.redaction import NAMES, remember

if TYPE_CHECKING:
    from types_boto3_secretsmanager import SecretsManagerClient

MEMORY = timedelta(minutes=5)
NO_MEMORY = timedelta(0)
CURRENT = "AWSCURRENT"
# The label of what we write, before it becomes the current version. AWS may delete a version without a label.
REFRESHED = "REFRESHED"
# No retry helps against these: the owner must create the secret, or let the function read it.
MISSING = "ResourceNotFoundException"
PERMANENT = {"AccessDeniedException", "InvalidRequestException", "DecryptionFailure"}


@dataclass(frozen=True)
class Secret:
    """One version of a secret."""

    text: str = field(repr=False)
    version: str


class SecretStore:
    """Secrets by name. Raises SecretMissing, Misconfigured (not allowed) or Unavailable (try again)."""

    def __init__(self, client: SecretsManagerClient, clock: Callable[[], datetime]) -> None:
        self._client = client
        self._clock = clock
        self._known: dict[str, tuple[Secret, datetime]] = {}

    def current(self, name: str, memory: timedelta = MEMORY) -> Secret:
        """The current version of a secret, as it was less than `memory` ago; with none Secrets Manager is asked."""
        now = self._clock()
        known = self._known.get(name)
        if known and now - known[1] < memory:
            return known[0]
        answer = self._call("get_secret_value", name, "read", VersionStage=CURRENT)
        secret = Secret(answer.get("SecretString", ""), answer["VersionId"])
        self._remember(name, secret, now)
        return secret

    def recent(self, name: str, lately: timedelta) -> Iterator[Secret]:
        """The remembered version and then, for a caller whom it does not serve, the current one if that is another.
        Secrets Manager is asked for it at most once in `lately`."""
        remembered = self.current(name)
        yield remembered
        latest = self.current(name, lately)
        if latest.version != remembered.version:
            yield latest

    def replace(self, name: str, old_version: str, text: str) -> Secret | None:
        """Make `text` the current version if `old_version` still is. Else return None: another's is never overwritten.

        Called again after a failure, it writes the same version and not another: a secret has room for some hundred
        versions, and AWS deletes none on the day it was made.
        """
        version = str(uuid5(NAMESPACE_OID, f"{old_version} {text}"))
        now = self._clock()
        self._call(
            "put_secret_value",
            name,
            "written",
            SecretString=text,
            VersionStages=[REFRESHED],
            ClientRequestToken=version,
        )
        try:
            # AWS moves the label only from the version that is given: that is the compare of this compare-and-swap.
            self._call(
                "update_secret_version_stage",
                name,
                "written",
                VersionStage=CURRENT,
                MoveToVersionId=version,
                RemoveFromVersionId=old_version,
            )
        except HubSpotFailure:
            # AWS has no error code for a label that has moved, and the swap may have been made all the same.
            current = self.current(name, NO_MEMORY)
            if current.version == old_version:
                raise
            return current if current.version == version else None
        secret = Secret(text, version)
        self._remember(name, secret, now)
        return secret

    def _call(self, operation: str, name: str, what: str, **arguments: Any) -> Any:
        try:
            return getattr(self._client, operation)(SecretId=name, **arguments)
        except (ClientError, BotoCoreError) as error:
            code = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
            kind = SecretMissing if code == MISSING else Misconfigured if code in PERMANENT else Unavailable
            raise kind(f"the secret {name} could not be {what} ({code})") from error

    def _remember(self, name: str, secret: Secret, asked_at: datetime) -> None:
        known = self._known.get(name)
        if known is None or known[1] <= asked_at:  # else a slow answer would replace a newer one of another thread
            self._known[name] = (secret, asked_at)
            remember(_values(secret.text))


def _values(text: str) -> Iterator[str]:
    """What nobody may see of a secret: all of it or, of JSON, the values under a secret's name."""
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        yield text.strip()
        return
    yield from (value.strip() for name, value in document.items() if name in NAMES and isinstance(value, str))
