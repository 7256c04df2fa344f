"""The files under limits/ that the settings name: each a schedule and the request it runs, checked at synth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml
from voluptuous import Invalid, Schema

from infra.checks import an_object, record
from infra.config import ConfigurationError
from infra.schedule_expression import explained_expression
from infra.settings_checks import time_zone
from model.contract import ContractError, Envelope
from model.validation import Text, check, parse_envelope


@dataclass(frozen=True)
class ScheduledRequest:
    """One request and when it runs. `timezone` is an IANA name; UTC where it is None."""

    name: str
    expression: str
    timezone: str | None
    description: str | None
    enabled: bool
    envelope: Envelope


def _expression(value: Any) -> str:
    try:
        return explained_expression(_text(value))
    except ValueError as error:
        raise Invalid(str(error)) from None


_text = Text()


@dataclass(frozen=True)
class _File:
    schedule: Annotated[str, _expression]
    request: Annotated[dict[str, Any], an_object]
    timezone: Annotated[str, time_zone] | None = None
    # EventBridge Scheduler's rule for a schedule's name and description.
    name: Annotated[str, Text(r"^[0-9A-Za-z_.-]{1,64}$")] | None = None
    description: Annotated[str, Text(most=512)] | None = None
    enabled: bool = True


_file = Schema(record(_File, "a key of such a file"))


def load_scheduled_requests(folder: Path, files: Sequence[str]) -> list[ScheduledRequest]:
    """The scheduled requests of `files` in `folder`. Raises ConfigurationError with all problems of all files."""
    problems: list[str] = []
    requests: list[ScheduledRequest] = []
    for file in files:
        found = _read(folder, file)
        if isinstance(found, ScheduledRequest):
            requests.append(found)
        else:
            problems += [f"{Path(folder.name) / file}: {problem}" for problem in found]
    names = [request.name for request in requests]
    problems += [
        f'{folder.name}: two files have the name "{name}"; give one of them another `name`'
        for name in sorted({name for name in names if names.count(name) > 1})
    ]
    if problems:
        raise ConfigurationError(problems)
    return requests


def _read(folder: Path, file: str) -> ScheduledRequest | list[str]:
    path = folder / file
    if not path.is_file():
        return ["there is no such file; correct settings.schedules or add the file"]
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        return [f"is not valid YAML: {' '.join(str(error).split())}"]
    if not isinstance(content, dict):
        return ["must hold `schedule` and `request`"]
    read: _File | None = None
    problems: list[str] = []
    try:
        read = check(_file, content)
    except ContractError as error:
        problems = [str(problem) for problem in error.problems]
    envelope = None
    if isinstance(content.get("request"), dict):
        envelope, wrong = _checked(content["request"])
        problems += [f"request.{problem}" for problem in wrong]
    if problems or read is None or envelope is None:
        return problems
    return ScheduledRequest(
        read.name or path.stem, read.schedule, read.timezone, read.description, read.enabled, envelope
    )


def _checked(request: dict[str, Any]) -> tuple[Envelope | None, list[str]]:
    try:
        envelope = parse_envelope(request)
    except ContractError as error:
        return None, [str(problem) for problem in error.problems]
    if envelope.idempotency_key is not None:
        return None, ["idempotencyKey: leave it out; with one key for all runs only the first would reach HubSpot"]
    return envelope, []
