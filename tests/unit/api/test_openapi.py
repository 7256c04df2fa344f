"""What docs/openapi.yaml says of requests, against the code. Whether it is kept to, tests/fuzz and tests/e2e show."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from voluptuous import Extra, Schema

from api.authentication import SCHEME
from api.hubspot_signature import SIGNATURE, TIME
from api.query import FILTER, PAGE, REPLAY, page_token, parse_filter, wants_all
from api.request import JSON, MAX_BODY
from infra.ingress import ROUTES, STAGE
from model.contract import ContractError
from model.outcomes import ID
from model.validation import Text, envelope, inputs, moment, parse_batch, required, strict
from runtime.settings import API_VERSION
from tests.support.openapi import DESCRIPTION, OPERATIONS, SCHEMAS, facts, model, resolved


def parameters(method: str, path: str, where: str) -> dict[str, Any]:
    """The parameters of an operation by their names."""
    found = [resolved(each) for each in OPERATIONS[method, path]["parameters"]]
    return {each["name"]: each for each in found if each["in"] == where}


def everywhere(name: str, part: Any = DESCRIPTION) -> Iterator[Any]:
    """Every value of that name in a part of the description."""
    if isinstance(part, dict):
        yield from [part[name]] if name in part else []
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from everywhere(name, each)


def test_it_is_a_valid_openapi_document_of_valid_schemas() -> None:
    schemathesis.openapi.from_dict(resolved(DESCRIPTION)).validate()

    for schema in (*SCHEMAS.values(), *everywhere("schema")):
        assert jsonschema_rs.meta.is_valid(schema), schema


def test_everything_that_it_defines_is_used_and_everything_that_it_uses_is_defined() -> None:
    defined = {
        f"#/components/{kind}/{name}"
        for kind, named in DESCRIPTION["components"].items()
        for name in named
        if kind != "securitySchemes"
    }

    assert set(everywhere("$ref")) == defined


def test_its_routes_are_those_of_the_api_and_its_address_is_that_of_the_stage() -> None:
    assert set(OPERATIONS) == set(ROUTES)
    assert [server["url"].rpartition("/")[2] for server in DESCRIPTION["servers"]] == [STAGE]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_the_parameters_of_a_path_are_those_in_its_name(method: str, path: str) -> None:
    assert list(parameters(method, path, "path")) == re.findall(r"{(\w+)}", path)
    assert all(each["required"] for each in parameters(method, path, "path").values())


def test_a_body_has_the_fields_and_the_bounds_of_the_code() -> None:
    bounds = ("minimum", "maximum", "minItems", "maxItems", "required", "additionalProperties")
    content = resolved(OPERATIONS[ROUTES[0]]["requestBody"])["content"]

    assert list(content) == [JSON]
    assert facts(content[JSON]["schema"], *bounds) == facts(model(strict({required("inputs"): inputs})), *bounds)
    with pytest.raises(ContractError, match=r"^more: is not a field"):
        parse_batch({"inputs": [], "more": 1}, from_object_type="deals", to_object_type="contacts")
    assert f"{MAX_BODY // 1024} KiB" in re.sub(r"\s+", " ", DESCRIPTION["info"]["description"])


# Of a query all is text: what its checks read it as before they hold it against these.
READ_AS: dict[str, Any] = {"since": moment, "limit": PAGE, "after": Text()}


@pytest.mark.parametrize(
    ("method", "path", "of"), [("GET", "outcomes", FILTER), ("POST", "outcomes/{id}/replay", REPLAY)]
)
def test_a_query_has_the_parameters_and_the_bounds_of_the_code(method: str, path: str, of: Schema) -> None:
    bounds = ("minimum", "maximum", "pattern", "format")
    described = {name: each["schema"] for name, each in parameters(method, path, "query").items()}
    token = described.get("after", {}).pop("pattern", "")
    taken = model(strict({name: READ_AS.get(str(name), check) for name, check in of.schema.items() if name != Extra}))

    assert {name: facts(schema, *bounds) for name, schema in described.items()} == {
        name: facts(schema, *bounds) for name, schema in taken["properties"].items()
    }
    assert not token or re.fullmatch(token, page_token("2026-11-24T09:00:00.000Z#o-1"))


def test_a_number_in_a_query_is_held_to_the_bounds_described() -> None:
    limit = parameters("GET", "outcomes", "query")["limit"]["schema"]
    least, most = limit["minimum"], limit["maximum"]

    assert [parse_filter({"limit": [str(number)]}).limit for number in (least, most)] == [least, most]
    for number in (least - 1, most + 1):
        with pytest.raises(ContractError, match=r"^limit: "):
            parse_filter({"limit": [str(number)]})


def test_a_query_without_parameters_asks_for_what_is_described_as_default() -> None:
    listed, replayed = parameters("GET", "outcomes", "query"), parameters("POST", "outcomes/{id}/replay", "query")
    defaults = {name: each["schema"]["default"] for name, each in listed.items() if "default" in each["schema"]}
    asked = parse_filter({})

    assert defaults == {"portal": asked.portal, "limit": asked.limit}
    assert asked == parse_filter({name: [str(value)] for name, value in defaults.items()})
    assert replayed["all"]["schema"]["default"] is wants_all({}) is False


def test_a_path_is_bounded_as_in_the_code() -> None:
    in_path = parameters(*ROUTES[1], "path")
    fields = model(envelope)["properties"]

    assert in_path["portal"]["schema"]["pattern"] == fields["portal"]["pattern"]
    assert in_path["from"]["schema"]["pattern"] == fields["fromObjectType"]["pattern"]
    assert in_path["to"]["schema"]["pattern"] == fields["toObjectType"]["pattern"]
    assert in_path["version"]["schema"]["pattern"] == API_VERSION.pattern
    assert SCHEMAS["Id"]["pattern"] == f"^{ID.pattern}$"
    assert SCHEMAS["Location"]["pattern"] == f"^/outcomes/{ID.pattern}$"


def test_an_idempotency_key_is_bounded_as_in_the_code() -> None:
    described = parameters(*ROUTES[0], "header")["Idempotency-Key"]["schema"]
    taken = model(envelope)["properties"]["idempotencyKey"]["anyOf"][0]
    characters = [chr(number) for number in range(0x3000)]

    assert (described["minLength"], described["maxLength"]) == (taken["minLength"], taken["maxLength"])
    assert [each for each in characters if not re.fullmatch(described["pattern"], each)] == [
        each for each in characters if unicodedata.category(each) == "Cc"
    ]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_key_lets_in_everywhere_and_hubspots_signature_where_limits_are_set(method: str, path: str) -> None:
    schemes = DESCRIPTION["components"]["securitySchemes"]
    ways = OPERATIONS[method, path].get("security", DESCRIPTION["security"])

    sent = [{schemes[name].get("name", schemes[name].get("scheme")) for name in way} for way in ways]

    assert sent == [{SCHEME}] + ([{SIGNATURE, TIME}] if path.endswith("batch/create") else [])
