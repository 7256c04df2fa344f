"""What schemathesis makes of docs/openapi.yaml: calls as it describes them and as it does not, and what to expect.

Good calls (positive) and bad ones (negative) come with a good key and with whatever schemathesis takes for one.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from copy import copy
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import hypothesis.core
import jsonschema_rs
import requests
import schemathesis
import yaml
from hypothesis.vendor import pretty
from schemathesis import Case, GenerationMode, Response
from schemathesis.checks import CheckFunction
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.query import page_token
from local.processes import ROOT
from tests.fuzz.events import KEY, event
from tests.fuzz.inputs import any_of

BASE_URL = "https://api.example.com/v1"
# Of schemathesis's other checks some need several calls or a connection (ignored_auth, use_after_free,
# ensure_resource_availability, object_level_authorization), and some its own phase of coverage, which is no strategy
# (missing_required_header, unsupported_method). allow_header_conformance is about 405, which is HubSpot's alone here.
# not_a_server_error is in doors.py for every call, described or not, but for those that HubSpot answers with errors.
CHECKS: list[CheckFunction] = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
TAKEN = 202
USED_BEFORE = 422  # an Idempotency-Key, with another body: what was before is no part of a call
OUTCOME = "outcome-id"


def _of_this_deployment() -> dict[str, Any]:
    """The description, with what differs from one deployment to the next as it is in the simulation."""
    raw: dict[str, Any] = yaml.safe_load((ROOT / "docs/openapi.yaml").read_text())
    schemas, parameters = raw["components"]["schemas"], raw["components"]["parameters"]
    schemas["PortalName"]["enum"] = ["acme", "default"]
    schemas["ObjectType"] = {"type": "string", "anyOf": [{"enum": ["deals", "contacts"]}, schemas["ObjectType"]]}
    numbers = schemas["Limit"]["properties"]
    numbers["typeId"] = {"type": "integer", "anyOf": [{"enum": [3]}, numbers["typeId"]]}
    parameters["Version"]["schema"]["enum"] = ["2026-03", "2026-09"]
    parameters["After"]["schema"] = {"type": "string", "enum": [page_token("2026-11-24T09:00:00.000Z#request")]}
    return raw


RAW = _of_this_deployment()
SCHEMA = schemathesis.openapi.from_dict(RAW)
LIMITS = jsonschema_rs.validator_for({"$ref": "#/components/schemas/Limits", "components": RAW["components"]})
PATH = "/crm/associations/{version}/definitions/configurations/{from}/{to}/batch/create"
PAIR = {"version": "2026-03", "from": "deals", "to": "contacts"}  # of which HubSpot knows the type above
OPERATIONS = [SCHEMA[path][method] for path in SCHEMA for method in SCHEMA[path] if method != "parameters"]
PATHS = [
    (operation, re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(operation.path))))
    for operation in OPERATIONS
]


@dataclass(frozen=True)
class Call:
    """A call of an operation, and the event that API Gateway makes of it."""

    case: Case[Any]
    request: requests.PreparedRequest
    event: dict[str, Any]


Asked = Call | dict[str, Any]  # or an event that was made by hand


def call(case: Case[Any]) -> Call:
    """What a client sends for a case, as it reaches the function."""
    request = requests.Request(**case.as_transport_kwargs(base_url=BASE_URL)).prepare()
    url = urlsplit(request.url or "")
    values = parse_qs(url.query, keep_blank_values=True)
    body = request.body.decode(errors="replace") if isinstance(request.body, bytes) else request.body
    made = event(
        request.method or "",
        unquote(url.path).removeprefix("/v1"),
        {name: value.strip() for name, value in request.headers.items()},
        {name: several[-1] for name, several in values.items()} or None,
        body,
        base64=False,
    )
    return Call(case, request, made | {"multiValueQueryStringParameters": values or None})


def _found(made: dict[str, Any]) -> Call | None:
    """The call that an event is, if it is of one of the operations."""
    for operation, path in PATHS:
        if operation.method.upper() == made["httpMethod"] and (match := path.fullmatch(made["path"])):
            request = requests.Request(made["httpMethod"], BASE_URL + quote(made["path"])).prepare()
            return Call(operation.Case(path_parameters=match.groupdict()), request, made)
    return None


def in_integers(case: Case[Any]) -> Case[Any]:
    """The same with 1 for each 1.0: these are one number to JSON Schema, and the second is refused here."""
    if isinstance(case.body, dict):
        case.body = json.loads(json.dumps(case.body), parse_float=_whole)
    return case


def _whole(text: str) -> int | float:
    number = float(text)
    return int(number) if number.is_integer() else number


def let_in(case: Case[Any], key: str = KEY) -> Case[Any]:
    """The same with a good key."""
    case.headers["Authorization"] = f"Bearer {key}"
    return case


_cases = any_of(
    *(operation.as_strategy(mode) for operation in OPERATIONS for mode in GenerationMode),
    *[SCHEMA[PATH]["POST"].as_strategy(mode, path_parameters=PAIR) for mode in GenerationMode] * 2,
)
calls = any_of(_cases, _cases.map(let_in), *[_cases.map(let_in).map(in_integers)] * 2).map(call)
# Schemathesis takes this from hypothesis for its own speed, and no test would show any more which input did harm.
vars(hypothesis.core)["RepresentationPrinter"] = pretty.RepresentationPrinter


def conforms(asked: Asked, answer: dict[str, Any]) -> None:
    """Raise AssertionError where the answer is none that the description has for this call."""
    made = asked if isinstance(asked, Call) else _found(asked)
    if made is None:
        return
    content = answer["body"].encode()
    response = Response(answer["statusCode"], answer["multiValueHeaders"], content, made.request, 0, verify=True)
    if OUTCOME in response.headers:
        _check_what_was_taken(made.event)
    holds(made.case, response)


def holds(case: Case[Any], response: Response) -> None:
    """The same for an answer as it comes by HTTP."""
    _check(case, response, CHECKS)
    if OUTCOME in response.headers:
        # What was taken is no call that was refused, whatever HubSpot says to it then.
        response = copy(response)
        response.status_code = TAKEN
    elif response.status_code >= 400:
        _check(case, response, [_is_our_error])
    _check(case, response, [negative_data_rejection])
    good = case.meta is not None and case.meta.generation.mode.is_positive
    promised = good and not _beyond_schemas(case) and response.status_code != USED_BEFORE
    if promised:
        _check(case, response, [positive_data_acceptance])


def _check_what_was_taken(made: dict[str, Any]) -> None:
    """Schemathesis lets a server take fields that it does not know; this one must not. Nor does it know what becomes of
    the calls that it has not made."""
    if made["path"].endswith("/batch/create"):
        body = made["body"]
        LIMITS.validate(json.loads(b64decode(body) if made["isBase64Encoded"] else body))


def _check(case: Case[Any], response: Response, checks: list[CheckFunction]) -> None:
    try:
        case.validate_response(response, checks)
    except FailureGroup as failures:
        raise AssertionError(str(failures)) from None  # its own kind does not travel between processes


def _is_our_error(_: object, response: Response, __: object) -> None:
    """What was refused here is in our shape of an error, which a list's 400 is described as."""
    SCHEMA["/outcomes"]["GET"].validate_response(
        Response(400, response.headers, response.content, response.request, 0, verify=True)
    )


def _beyond_schemas(case: Case[Any]) -> bool:
    """Whether a good call may be wrong by what the description says in words."""
    if ("from" in case.query) != ("to" in case.query):
        return True
    body: Any = case.body  # a good one, or none
    inputs = body["inputs"] if isinstance(body, dict) else []
    numbers = {(item["category"], item["typeId"]): item["maxToObjectIds"] for item in inputs}
    return any(
        isinstance(item["typeId"], float)
        or isinstance(item["maxToObjectIds"], float)
        or numbers[item["category"], item["typeId"]] != item["maxToObjectIds"]
        for item in inputs
    )
