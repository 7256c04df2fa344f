"""The control interface under /_standin/: switches, tokens, OAuth apps, custom objects, association types, faults, the
journal and the state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

from infra.checks import Number
from local.hubspot.access import Token
from local.hubspot.answers import Answer
from local.hubspot.catalogue import Category, Pair, TypeKey, written_object_type
from local.hubspot.documents import parsed
from local.hubspot.faults import FaultOrder
from local.hubspot.oauth import OAuthApp
from local.hubspot.objects import CustomObject
from local.hubspot.operations import OPERATIONS
from local.hubspot.settings import INT32_MAX, ControlRecord, Settings
from model.contract import ContractError

if TYPE_CHECKING:
    from local.hubspot.portal import Portal
    from local.hubspot.service import StandIn

# What a journal entry's operation may be; `unknown` is a request that HubSpot has no operation for.
JOURNALLED = (*OPERATIONS, "token", "unknown")


class ControlError(Exception):
    """A control request that cannot be carried out, with every reason."""

    def __init__(self, *reasons: str) -> None:
        super().__init__(*reasons)
        self.reasons = reasons


@dataclass(frozen=True)
class Control:
    """One control request."""

    body: bytes
    query: Mapping[str, str]

    def document(self) -> dict[str, Any]:
        """The body, a JSON object. Raises ControlError."""
        try:
            document = parsed(self.body)
        except ValueError as error:
            raise ControlError(f"the body is not JSON: {error}") from error
        if not isinstance(document, dict):
            raise ControlError("the body must be a JSON object")
        return document


@dataclass(frozen=True, kw_only=True)
class NewType(ControlRecord):
    """An association type to add to a pair of an account. A label of null makes it an unlabelled type."""

    from_object_type: Annotated[str, written_object_type]
    to_object_type: Annotated[str, written_object_type]
    category: Category
    type_id: Annotated[int, Number(1, INT32_MAX)]
    label: str | None
    hub_id: Annotated[int, Number(1)] = 1

    def known_to(self, portal: Portal) -> NewType:
        """The same with canonical ids for the names. Raises ControlError where the account knows no such name."""
        written = {"fromObjectType": self.from_object_type, "toObjectType": self.to_object_type}
        ids = {field: portal.objects.type_id(name) or "" for field, name in written.items()}
        unknown = [f"{field}: unknown object type {written[field]!r}" for field in ids if not ids[field]]
        if unknown:
            raise ControlError(*unknown)
        return replace(self, from_object_type=ids["fromObjectType"], to_object_type=ids["toObjectType"])


@dataclass(frozen=True, kw_only=True)
class Revocation(ControlRecord):
    """The OAuth app whose refresh token is to be refused."""

    client_id: str


def control(standin: StandIn, action: Action, request: Control) -> Answer:
    """Carry out one control request: 200 with what it gives, or 400 with every reason against it."""
    try:
        return Answer(200, action(standin, request))
    except ContractError as error:
        reasons = [f"{problem.field or 'body'}: {problem.message}" for problem in error.problems]
    except ControlError as error:
        reasons = list(error.reasons)
    return Answer(400, {"errors": reasons})


def _health(standin: StandIn, request: Control) -> dict[str, object]:
    return {"status": "ok"}


def _settings(standin: StandIn, request: Control) -> dict[str, object]:
    return standin.settings.as_json()


def _replace_settings(standin: StandIn, request: Control) -> dict[str, object]:
    standin.settings = Settings.of(request.document())
    return _settings(standin, request)


def _change_settings(standin: StandIn, request: Control) -> dict[str, object]:
    standin.settings = standin.settings.changed(request.document())
    return _settings(standin, request)


def _tokens(standin: StandIn, request: Control) -> dict[str, object]:
    return {"tokens": [token.described() for token in standin.tokens]}


def _add_token(standin: StandIn, request: Control) -> dict[str, object]:
    token = Token.of(request.document())
    try:
        standin.tokens.add(token)
    except ValueError as error:
        raise ControlError(f"token: {error}") from error
    return token.described()


def _apps(standin: StandIn, request: Control) -> dict[str, object]:
    return {"apps": [standin.oauth.described(app) for app in standin.oauth]}


def _add_app(standin: StandIn, request: Control) -> dict[str, object]:
    app = OAuthApp.of(request.document())
    standin.oauth.add(app)
    return standin.oauth.described(app)


def _revoke_app(standin: StandIn, request: Control) -> dict[str, object]:
    revoked = Revocation.of(request.document())
    try:
        return standin.oauth.described(standin.oauth.revoke(revoked.client_id))
    except KeyError as error:
        raise ControlError(f"clientId: there is no app {revoked.client_id!r}") from error


def _add_type(standin: StandIn, request: Control) -> dict[str, object]:
    asked = NewType.of(request.document())
    portal = standin.portals[asked.hub_id]
    new = asked.known_to(portal)
    pair = Pair(new.from_object_type, new.to_object_type)
    portal.add_type(pair, TypeKey(new.category, new.type_id), new.label)
    return new.as_json()


def _objects(standin: StandIn, request: Control) -> dict[str, object]:
    portals = sorted(standin.portals.items())
    return {"objects": [{"hubId": hub_id, **each.schema()} for hub_id, portal in portals for each in portal.objects]}


def _add_object(standin: StandIn, request: Control) -> dict[str, object]:
    new = CustomObject.of(request.document())
    try:
        added = standin.portals[new.hub_id].objects.add(new)
    except ValueError as error:
        raise ControlError(f"name: {error}") from error
    return {"hubId": new.hub_id, **added.schema()}


def _faults(standin: StandIn, request: Control) -> dict[str, object]:
    return {"faults": [fault.described() for fault in standin.faults.all()]}


def _add_fault(standin: StandIn, request: Control) -> dict[str, object]:
    return standin.faults.add(FaultOrder.of(request.document())).described()


def _clear_faults(standin: StandIn, request: Control) -> dict[str, object]:
    standin.faults.clear()
    return _faults(standin, request)


def _journal(standin: StandIn, request: Control) -> dict[str, object]:
    unknown = set(request.query) - {"operation"}
    if unknown:
        raise ControlError(*(f"{name}: unknown query parameter" for name in sorted(unknown)))
    operation = request.query.get("operation")
    if operation not in (None, *JOURNALLED):
        raise ControlError(f"operation: must be one of {', '.join(JOURNALLED)}")
    entries = standin.journal.entries(operation)
    return {"total": standin.journal.total, "entries": [entry.as_json() for entry in entries]}


def _clear_journal(standin: StandIn, request: Control) -> dict[str, object]:
    standin.journal.clear()
    return _journal(standin, request)


def _state(standin: StandIn, request: Control) -> dict[str, object]:
    return {
        "portals": [
            {"hubId": hub_id, "limits": [limit for pair in portal.pairs() for limit in _limits(portal, pair)]}
            for hub_id, portal in sorted(standin.portals.items())
        ]
    }


def _limits(portal: Portal, pair: Pair) -> list[dict[str, object]]:
    return [
        {
            "fromObjectType": pair.from_type,
            "toObjectType": pair.to_type,
            "category": key.category,
            "typeId": key.type_id,
            "label": portal.labels_of(pair)[key],
            "maxToObjectIds": limit,
        }
        for key, limit in portal.limits(pair).items()
    ]


def _reset(standin: StandIn, request: Control) -> dict[str, object]:
    standin.reset()
    return _state(standin, request)


Action = Callable[["StandIn", Control], dict[str, object]]

# Method, path below /_standin/, and what it does.
ACTIONS: tuple[tuple[str, str, Action], ...] = (
    ("GET", "health", _health),
    ("GET", "settings", _settings),
    ("PUT", "settings", _replace_settings),
    ("PATCH", "settings", _change_settings),
    ("GET", "tokens", _tokens),
    ("POST", "tokens", _add_token),
    ("GET", "oauth", _apps),
    ("POST", "oauth", _add_app),
    ("POST", "oauth/revoke", _revoke_app),
    ("GET", "objects", _objects),
    ("POST", "objects", _add_object),
    ("POST", "types", _add_type),
    ("GET", "faults", _faults),
    ("POST", "faults", _add_fault),
    ("DELETE", "faults", _clear_faults),
    ("GET", "journal", _journal),
    ("DELETE", "journal", _clear_journal),
    ("GET", "state", _state),
    ("DELETE", "state", _reset),
)
