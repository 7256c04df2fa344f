"""docs/openapi.yaml, and what it says of a part."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, get_args, get_origin, get_type_hints

import jsonschema_rs
import yaml
from voluptuous import Extra, Required, Schema

from local.processes import ROOT
from model.records import camel
from model.validation import Each, OneOf, OrNone, Text, WholeNumber, flag, moment

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


def model(of: Any) -> Any:
    """The schema of what the code lets in or gives: of a check, of a type, or of a record's class."""
    match of:
        case Schema():
            return _object(of.schema)
        case Text():
            return _bounded("string", pattern=of.pattern or None, minLength=of.least or None, maxLength=of.most)
        case WholeNumber():
            return _bounded("integer", minimum=of.least, maximum=of.most)
        case Each():
            return _bounded("array", items=model(of.check), minItems=of.least, maxItems=of.most)
        case OneOf():
            return model(of.of)
        case OrNone():
            return {"anyOf": [model(of.check), {"type": "null"}]}
    if get_origin(of) is tuple:
        return {"type": "array", "items": model(get_args(of)[0])}
    if type(None) in get_args(of):
        return {"anyOf": [model(each) for each in get_args(of)]}
    if is_dataclass(of):
        return _record(of)
    if isinstance(of, type) and issubclass(of, StrEnum):
        return {"type": "string", "enum": [each.value for each in of]}
    return PLAIN[of]


PLAIN: dict[Any, Any] = {
    flag: {"type": "boolean"},
    bool: {"type": "boolean"},
    moment: {"type": "string", "format": "date-time"},
    datetime: {"type": "string", "format": "date-time"},
    int: {"type": "integer"},
    str: {"type": "string"},
    type(None): {"type": "null"},
}


def _object(keys: Any) -> Any:
    named = {str(key): check for key, check in keys.items() if key is not Extra}
    return {
        "type": "object",
        "additionalProperties": Extra not in keys,
        "required": [str(key) for key in keys if isinstance(key, Required)],
        "properties": {name: model(check) for name, check in named.items()},
    }


def _record(kind: Any) -> Any:
    """A record as `plain` writes it: what is None is absent, so that what cannot be is always there."""
    hints = get_type_hints(kind)
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [camel(each.name) for each in fields(kind) if each.default is not None],
        "properties": {camel(each.name): model(hints[each.name]) for each in fields(kind)},
    }


def _bounded(kind: str, **bounds: Any) -> Any:
    return {"type": kind} | {name: bound for name, bound in bounds.items() if bound is not None}


def validator(name: str) -> Any:
    """Checks values against a schema, formats included."""
    whole = {"$ref": f"#/components/schemas/{name}", "components": DESCRIPTION["components"]}
    return jsonschema_rs.validator_for(whole, validate_formats=True)
