"""cdk-nag, the gate that every synth passes, and the findings that we live with: its own, and those of checkov."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Acknowledgment, App, CfnResource, Validations
from cdk_nag import AwsSolutionsChecks, ServerlessChecks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from constructs import IConstruct

CHECKOV = "CKV_"


def check(app: App) -> None:
    """Let the synth of `app` fail at every finding that is not acknowledged."""
    Validations.of(app).add_plugins(AwsSolutionsChecks(app), ServerlessChecks(app))


def acknowledge(construct: IConstruct, rule: str, reason: str) -> None:
    """Live with one finding on the resource that is the core of `construct`, for a reason that is true of it."""
    # Not on the construct itself: that would hold for every resource that is or comes to be below it.
    resource = construct.node.default_child
    if resource is None:
        raise ValueError(f"{construct.node.path} has no core resource")
    if rule.startswith(CHECKOV):
        # What checkov looks for in a template: checkov.io, "Suppressing and skipping policies".
        assert isinstance(resource, CfnResource)
        skipped = resource.get_metadata("checkov") or {"skip": []}
        resource.add_metadata("checkov", {"skip": [*skipped["skip"], {"id": rule, "comment": reason}]})
    else:
        Validations.of(resource).acknowledge(Acknowledgment(id=rule, reason=reason))


def acknowledged(app: App) -> Iterator[tuple[IConstruct, str, str]]:
    """Every finding that `app` lives with: the construct, the rule, and why."""
    for construct in app.node.find_all():
        for entry in construct.node.metadata:
            if entry.type == Validations.ACKNOWLEDGED_RULES_METADATA_KEY:
                for rule, reason in entry.data.items():
                    yield construct, rule.removeprefix("Annotation::"), reason
        if isinstance(construct, CfnResource):
            for each in (construct.get_metadata("checkov") or {"skip": []})["skip"]:
                yield construct, each["id"], each["comment"]
