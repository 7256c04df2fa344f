"""docs/openapi.yaml, and what it says of a part."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import yaml

from local.processes import ROOT

DESCRIPTION: dict[str, Any] = yaml.safe_load((ROOT / "docs/openapi.yaml").read_text())
SCHEMAS: dict[str, Any] = DESCRIPTION["components"]["schemas"]
OPERATIONS: dict[tuple[str, str], dict[str, Any]] = {
    (method.upper(), path.removeprefix("/")): operation
    | {"parameters": item.get("parameters", []) + operation.get("parameters", [])}
    for path, item in DESCRIPTION["paths"].items()
    for method, operation in item.items()
    if method != "parameters"
}


def resolved(schema: Any, whole: Any = DESCRIPTION) -> Any:
    """What a description says, with what it refers to in its place."""
    if isinstance(schema, list):
        return [resolved(each, whole) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        found = whole
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        schema = found | {name: value for name, value in schema.items() if name != "$ref"}
    return {name: resolved(value, whole) for name, value in schema.items()}


def facts(schema: Any, *also: str) -> Any:
    """A schema without what is for people, and with `nothing or X` as X."""
    if not isinstance(schema, dict):
        return schema
    if "anyOf" in schema:
        schema = schema | schema["anyOf"][0]
    told = {name: facts(schema[name], *also) for name in ("type", "enum", "items", *also) if name in schema}
    if "properties" in schema:
        told["properties"] = {name: facts(value, *also) for name, value in schema["properties"].items()}
    return told


def model(of: Any, **how: Any) -> Any:
    """The schema that pydantic has of a model."""
    schema = of.model_json_schema(**how)
    return resolved(schema, schema)


def validator(name: str) -> Any:
    """Checks values against a schema, formats included."""
    whole = {"$ref": f"#/components/schemas/{name}", "components": DESCRIPTION["components"]}
    return jsonschema_rs.validator_for(whole, validate_formats=True)
