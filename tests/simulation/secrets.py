"""Secrets Manager: versions with staging labels, and the check of the version that a label is taken from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.simulation.dynamo import client_error


class Secrets:
    """The client. `step` is called before and after each operation, as in Dynamo."""

    def __init__(self, step: Callable[[str], str], new_id: Callable[[], str]) -> None:
        self._step = step
        self._new_id = new_id
        self.versions: dict[str, dict[str, str]] = {}
        self.current: dict[str, str] = {}

    def set(self, name: str, text: str) -> None:
        """The owner stores a secret."""
        version = self._new_id()
        self.versions.setdefault(name, {})[version] = text
        self.current[name] = version

    def get_secret_value(self, *, SecretId: str, **rest: Any) -> dict[str, str]:
        self._before("get_secret_value")
        if SecretId not in self.current:
            raise client_error("get_secret_value", "ResourceNotFoundException")
        version = self.current[SecretId]
        answer = {"SecretString": self.versions[SecretId][version], "VersionId": version}
        self._step("get_secret_value answered")
        return answer

    def put_secret_value(
        self,
        *,
        SecretId: str,
        SecretString: str,
        ClientRequestToken: str,
        VersionStages: list[str],
    ) -> dict[str, str]:
        self._before("put_secret_value")
        known = self.versions[SecretId]
        if known.setdefault(ClientRequestToken, SecretString) != SecretString:
            raise client_error("put_secret_value", "ResourceExistsException")
        if "AWSCURRENT" in VersionStages:
            self.current[SecretId] = ClientRequestToken
        self._after("put_secret_value")
        return {"VersionId": ClientRequestToken}

    def update_secret_version_stage(
        self,
        *,
        SecretId: str,
        VersionStage: str,
        MoveToVersionId: str,
        RemoveFromVersionId: str,
    ) -> None:
        self._before("update_secret_version_stage")
        if self.current[SecretId] != RemoveFromVersionId:
            raise client_error("update_secret_version_stage", "InvalidParameterException")
        self.current[SecretId] = MoveToVersionId
        self._after("update_secret_version_stage")

    def _before(self, operation: str) -> None:
        if self._step(operation) == "throttled":
            raise client_error(operation, "ThrottlingException")

    def _after(self, operation: str) -> None:
        if self._step(f"{operation} answered") == "lost":
            raise client_error(operation, "InternalServiceError", 500)
