"""HubSpot's operations of a bearer token: each turns a checked call into an honest answer and the changes to make."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from local.hubspot.account import account_details
from local.hubspot.answers import Answer, Problem, batch_answer, invalid
from local.hubspot.catalogue import Pair, TypeKey
from local.hubspot.requests import RequestedLimit, TypeInput, parse_inputs
from local.hubspot.rules import Verdict, WriteOperation, judge

if TYPE_CHECKING:
    from random import Random

    from local.hubspot.objects import ObjectType
    from local.hubspot.portal import Portal
    from local.hubspot.settings import Settings

# How HubSpot has been seen to write "no limit".
UNLIMITED = 500_000

Changes = Mapping[TypeKey, int | None]


@dataclass(frozen=True)
class Demand:
    """A call that has passed every check but those of its body. `moment` is in epoch seconds."""

    hub_id: int
    portal: Portal
    pair: Pair | None
    object_type: ObjectType | None
    body: bytes
    moment: float
    settings: Settings
    random: Random


Operate = Callable[[Demand], tuple[Answer, Changes]]


def _write(
    operation: WriteOperation,
    kind: type[TypeInput],
    success: Callable[[Demand, list[Verdict]], Answer],
    demand: Demand,
) -> tuple[Answer, Changes]:
    assert demand.pair is not None
    inputs = parse_inputs(demand.body, kind)
    _check_size(len(inputs), demand.settings)
    labels = demand.portal.labels_of(demand.pair)
    limits = demand.portal.limits(demand.pair)
    verdicts, changes = judge(operation, inputs, labels, limits, demand.settings)
    refused = [verdict for verdict in verdicts if verdict.refusal]
    if refused and demand.settings.bad_input == "batch":
        problems = [Problem(verdict.refusal or "", context=_context(verdict, demand)) for verdict in refused]
        raise invalid(f"The batch has {len(refused)} invalid inputs.", problems)
    return success(demand, verdicts), changes


def _check_size(count: int, settings: Settings) -> None:
    if count > settings.maximum_inputs:
        raise invalid(f"A batch takes at most {settings.maximum_inputs} inputs.")
    if count == 0 and settings.empty_inputs == "refuse":
        raise invalid("A batch takes at least one input.")


def _created(demand: Demand, verdicts: list[Verdict]) -> Answer:
    return _batch(demand, verdicts, demand.settings.success_status, labelled=True)


def _updated(demand: Demand, verdicts: list[Verdict]) -> Answer:
    return _batch(demand, verdicts, success_status=200, labelled=False)


def _purged(demand: Demand, verdicts: list[Verdict]) -> Answer:
    answer = _batch(demand, verdicts, success_status=200, labelled=True)
    without_body = answer.status == 200 and demand.settings.purge_status == 204
    return Answer(204) if without_body else answer


def _batch(demand: Demand, verdicts: list[Verdict], success_status: int, labelled: bool) -> Answer:
    assert demand.pair is not None
    labels = demand.portal.labels_of(demand.pair)
    results = [
        _row(verdict.asked.key, labels[verdict.asked.key], verdict.asked.limit)
        for verdict in verdicts
        if verdict.refusal is None
    ]
    if not labelled:
        results = [{name: value for name, value in row.items() if name != "label"} for row in results]
    errors = [_error(verdict, demand) for verdict in verdicts if verdict.refusal]
    return batch_answer(success_status, demand.moment, results, errors)


def _row(key: TypeKey, label: str | None, limit: int | None) -> dict[str, object]:
    return {
        "category": key.category,
        "typeId": key.type_id,
        "label": label,
        "userEnforcedMaxToObjectIds": limit,
    }


def _error(verdict: Verdict, demand: Demand) -> dict[str, object]:
    """One entry of a 207's errors. It does not say which input it belongs to, as HubSpot's do not."""
    return {
        "status": "error",
        "category": "VALIDATION_ERROR",
        "message": verdict.refusal,
        "context": _context(verdict, demand),
        "errors": [],
    }


def _context(verdict: Verdict, demand: Demand) -> dict[str, object]:
    if demand.settings.error_context == "none":
        return {}
    return {"category": [verdict.asked.category], "typeId": [str(verdict.asked.type_id)]}


def _read(demand: Demand) -> tuple[Answer, Changes]:
    pairs: Iterable[Pair] = demand.portal.pairs() if demand.pair is None else [demand.pair]
    moment = _shown(demand)
    return Answer(200, {"results": [row for pair in pairs for row in _limit_rows(demand, pair, moment)]}), {}


def _shown(demand: Demand) -> float:
    """The moment whose limits this read shows, in epoch seconds."""
    lag = demand.settings.read_lag_seconds
    if lag and demand.settings.read_flaps and demand.random.random() < 0.5:
        return demand.moment
    return demand.moment - lag


def _limit_rows(demand: Demand, pair: Pair, moment: float) -> Iterable[dict[str, object]]:
    limits = demand.portal.limits(pair, moment)
    unset = {"null": None, "unlimited": UNLIMITED}
    for key, label in demand.portal.labels_of(pair).items():
        if key in limits:
            yield _row(key, label, limits[key])
        elif demand.settings.unset_limit in unset:
            yield _row(key, label, unset[demand.settings.unset_limit])


def _labels(demand: Demand) -> tuple[Answer, Changes]:
    assert demand.pair is not None
    types = demand.portal.labels_of(demand.pair).items()
    rows = [{"category": key.category, "typeId": key.type_id, "label": label} for key, label in types]
    return Answer(200, {"results": rows}), {}


def _account(demand: Demand) -> tuple[Answer, Changes]:
    return Answer(200, account_details(demand.hub_id, demand.settings)), {}


def _schema(demand: Demand) -> tuple[Answer, Changes]:
    assert demand.object_type is not None
    return Answer(200, demand.object_type.schema()), {}


OPERATIONS: Mapping[str, Operate] = {
    "create": partial(_write, "create", RequestedLimit, _created),
    "update": partial(_write, "update", RequestedLimit, _updated),
    "purge": partial(_write, "purge", TypeInput, _purged),
    "read": _read,
    "labels": _labels,
    "account": _account,
    "schema": _schema,
}
