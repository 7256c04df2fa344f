"""A synthesised template with construct paths for logical ids, so that tests read like the stack."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from aws_cdk.assertions import Template

from app import ROOT, build

Resource = dict[str, Any]
CONTEXT: dict[str, Any] = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]
SETTINGS: dict[str, Any] = CONTEXT["settings"]


def new_app(outdir: Path, **changes: object) -> cdk.App:
    """An app as cdk.json makes it, with changed settings, that builds no assets."""
    context = {
        **CONTEXT,
        "settings": {**SETTINGS, **changes},
        "aws:cdk:bundling-stacks": [],
        "aws:cdk:enable-path-metadata": True,
    }
    return cdk.App(outdir=str(outdir), context=context)


class Synthesised:
    """The template of the whole stack. Paths are without the stack's name: `Queue/Main`, `Webhook/Role`."""

    def __init__(self, outdir: Path, **changes: object) -> None:
        stack = build(new_app(outdir, **changes))
        self.stack_name = stack.stack_name
        self.termination_protection = stack.termination_protection
        self.template = Template.from_stack(stack).to_json()
        self._paths = {logical_id: self._path(resource) for logical_id, resource in self.template["Resources"].items()}

    def _path(self, resource: Resource) -> str:
        path: str = resource["Metadata"]["aws:cdk:path"]
        return path.removeprefix(f"{self.stack_name}/").removesuffix("/Resource")

    def of_type(self, kind: str) -> dict[str, Resource]:
        """All resources of a CloudFormation type, whole, by path."""
        return {
            self._paths[logical_id]: resource
            for logical_id, resource in self.template["Resources"].items()
            if resource["Type"] == kind
        }

    def properties(self, kind: str, path: str) -> dict[str, Any]:
        """The properties of one resource, with every reference as a path."""
        properties = self.readable(self.of_type(kind)[path]["Properties"])
        assert isinstance(properties, dict)
        return properties

    def readable(self, value: Any) -> Any:
        """A value of the template in which a path stands for each Ref and Fn::GetAtt, with [n] where only part n of an
        ARN is taken, and text for each Fn::Join."""
        match value:
            case {"Ref": str(name)}:
                return self._paths.get(name, f"<{name}>")
            case {"Fn::GetAtt": [str(name), "Arn"]}:
                return self._paths[name]
            case {"Fn::GetAtt": [str(name), str(attribute)]}:
                return f"{self._paths[name]}.{attribute}"
            case {"Fn::Join": [str(separator), list(parts)]}:
                return separator.join(self.readable(part) for part in parts)
            case {"Fn::Select": [int(index), {"Fn::Split": [":", whole]}]}:
                return f"{self.readable(whole)}[{index}]"
            case dict():
                return {key: self.readable(part) for key, part in value.items()}
            case list():
                return [self.readable(part) for part in value]
        return value

    def allowed(self, role: str) -> set[tuple[str, str]]:
        """Every (action, resource) that the inline policies of a role allow, each said once."""
        statements = [
            statement
            for policy in self.properties("AWS::IAM::Role", role)["Policies"]
            for statement in policy["PolicyDocument"]["Statement"]
        ]
        assert all(statement["Effect"] == "Allow" for statement in statements)
        pairs = [
            (action, resource)
            for statement in statements
            for action in as_list(statement["Action"])
            for resource in as_list(statement["Resource"])
        ]
        assert len(pairs) == len(set(pairs)), "something is allowed twice"
        return set(pairs)


def as_list(value: Any) -> list[Any]:
    """IAM writes a list of one as the one."""
    return value if isinstance(value, list) else [value]
