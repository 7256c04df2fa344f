"""HubSpot's rules of limits, as pure functions of a pair, a batch and the settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from local.hubspot.catalogue import TypeKey
    from local.hubspot.requests import TypeInput
    from local.hubspot.settings import Settings

WriteOperation = Literal["create", "update", "purge"]


@dataclass(frozen=True)
class Verdict:
    """What became of one input: accepted, or refused with a reason."""

    asked: TypeInput
    refusal: str | None


@dataclass
class Trial:
    """One pair as the earlier inputs of a batch have left it; what the next input is judged against."""

    labels: Mapping[TypeKey, str | None]
    limits: dict[TypeKey, int]
    settings: Settings
    asked_before: set[TypeKey] = field(default_factory=set)


def judge(
    operation: WriteOperation,
    inputs: Sequence[TypeInput],
    labels: Mapping[TypeKey, str | None],
    limits: Mapping[TypeKey, int],
    settings: Settings,
) -> tuple[list[Verdict], dict[TypeKey, int | None]]:
    """Judge a batch in the order of its inputs, each seeing what those before it did.

    Takes the labels and present limits of the pair. Returns one verdict per input, and the changes to make
    (None takes a limit away); none when an input is refused and `badInput` has the whole batch fail.
    """
    trial, checks = Trial(labels, dict(limits), settings), CHECKS[operation]
    verdicts: list[Verdict] = []
    changes: dict[TypeKey, int | None] = {}
    for asked in inputs:
        refusal = next((reason for check in checks if (reason := check(trial, asked))), None)
        verdicts.append(Verdict(asked, refusal))
        trial.asked_before.add(asked.key)
        if refusal is None:
            changes[asked.key] = asked.limit
            _apply(trial.limits, asked)
    if settings.bad_input == "batch" and any(verdict.refusal for verdict in verdicts):
        return verdicts, {}
    return verdicts, changes


def _apply(limits: dict[TypeKey, int], asked: TypeInput) -> None:
    if asked.limit is None:
        limits.pop(asked.key, None)
    else:
        limits[asked.key] = asked.limit


def _named(asked: TypeInput) -> str:
    return f"Association type {asked.type_id} of category {asked.category}"


def _unknown_type(trial: Trial, asked: TypeInput) -> str | None:
    if asked.key in trial.labels:
        return None
    return f"{_named(asked)} does not exist between these object types."


def _out_of_range(trial: Trial, asked: TypeInput) -> str | None:
    lowest, highest = trial.settings.minimum_limit, trial.settings.ceiling
    if asked.limit is None or lowest <= asked.limit <= highest:
        return None
    return f"The limit {asked.limit} is not between {lowest} and {highest}."


def _asked_twice(trial: Trial, asked: TypeInput) -> str | None:
    if trial.settings.duplicate_input == "apply" or asked.key not in trial.asked_before:
        return None
    return f"{_named(asked)} occurs more than once in the batch."


def _exists(trial: Trial, asked: TypeInput) -> str | None:
    if trial.settings.existing_limit == "overwrite" or asked.key not in trial.limits:
        return None
    return f"{_named(asked)} already has a limit."


def _missing(trial: Trial, asked: TypeInput) -> str | None:
    if trial.settings.update_missing == "create" or asked.key in trial.limits:
        return None
    return f"{_named(asked)} has no limit to update."


def _label_above_object(trial: Trial, asked: TypeInput) -> str | None:
    """A label's limit must be at most the object limit, and is checked whichever of the two is being set."""
    if asked.limit is None:
        return None
    is_object_limit = trial.labels[asked.key] is None
    others = [limit for key, limit in trial.limits.items() if (trial.labels[key] is None) != is_object_limit]
    for other in others:
        label, whole = (other, asked.limit) if is_object_limit else (asked.limit, other)
        if label > whole or (label == whole and trial.settings.label_equals_object == "refuse"):
            return f"The limit {label} of a label does not fit under the object limit {whole}."
    return None


# The first check that gives a reason refuses the input; each may rely on those before it.
CHECKS: Mapping[WriteOperation, Sequence[Callable[[Trial, TypeInput], str | None]]] = {
    "create": (_unknown_type, _out_of_range, _asked_twice, _exists, _label_above_object),
    "update": (_unknown_type, _out_of_range, _asked_twice, _missing, _label_above_object),
    "purge": (_unknown_type, _asked_twice),
}
