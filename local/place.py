"""The stack that a command is about: the local one where this checkout has one up, else one in AWS."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from local import emulator
from local.processes import ROOT
from local.stack import STACK_FILE

if TYPE_CHECKING:
    from types_boto3_secretsmanager import SecretsManagerClient


class NotDone(Exception):
    """Nothing was changed. The message says why, and what to do."""


@dataclass(frozen=True)
class Place:
    """A stack, its outputs, and the secrets of its account."""

    title: str
    outputs: Mapping[str, str]
    client: SecretsManagerClient
    local: bool = False

    def output(self, name: str) -> str:
        """One of its outputs. Raises NotDone."""
        if name not in self.outputs:
            raise NotDone(f"{self.title} has no output {name}: it is not this service's, or an older one")
        return self.outputs[name]


def find(stack: str | None) -> Place:
    """The stack of that name in the environment's account; without a name the local stack, where one is up. Raises
    NotDone."""
    if stack is None and STACK_FILE.exists():
        described = json.loads(STACK_FILE.read_text())
        emulator.isolate()
        os.environ.update(emulator.credentials(described["awsEndpointUrl"]))
        return _place("the local stack", _default_name(), local=True)
    name = stack or _default_name()
    return _place(f"the stack {name} in AWS", name)


def _place(title: str, name: str, *, local: bool = False) -> Place:
    try:
        session = boto3.session.Session()
        cloudformation = session.client("cloudformation")
        (described,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}
        return Place(title, outputs, session.client("secretsmanager"), local)
    except (ClientError, BotoCoreError) as error:
        raise NotDone(f"{title} was not found: {error}") from error


def _default_name() -> str:
    settings: dict[str, Any] = json.loads((ROOT / "cdk.json").read_text())["context"]["settings"]
    return str(settings["stackName"])
