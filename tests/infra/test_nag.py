"""The security gate: cdk-nag runs in every synth, and what it was told to accept is told of one resource each."""

from __future__ import annotations

from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs
from aws_cdk.assertions import Template
from constructs import IConstruct

from app import build
from tests.infra.template import new_app


@pytest.mark.parametrize("action", ["dynamodb:*", "dynamodb:Get*"])
def test_a_wildcard_in_a_policy_stops_the_synth(tmp_path: Path, action: str) -> None:
    stack = build(new_app(tmp_path))
    role = iam.Role(stack, "Careless", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    role.add_to_policy(iam.PolicyStatement(actions=[action], resources=["*"]))

    with pytest.raises(RuntimeError) as refused:
        Template.from_stack(stack)

    assert f"AwsSolutions-IAM5[Action::{action}]" in str(refused.value)
    assert "AwsSolutions-IAM5[Resource::*]" in str(refused.value)


def test_a_queue_that_speaks_without_tls_and_loses_messages_stops_the_synth(tmp_path: Path) -> None:
    stack = build(new_app(tmp_path))
    sqs.Queue(stack, "Careless")

    with pytest.raises(RuntimeError) as refused:
        Template.from_stack(stack)

    assert "AwsSolutions-SQS4" in str(refused.value)
    assert "Serverless-SQSRedrivePolicy" in str(refused.value)


def acknowledgements(construct: IConstruct) -> dict[str, str]:
    return {
        rule: reason
        for entry in construct.node.metadata
        if entry.type == cdk.Validations.ACKNOWLEDGED_RULES_METADATA_KEY
        for rule, reason in entry.data.items()
    }


def test_nothing_is_acknowledged_for_more_than_one_resource(tmp_path: Path) -> None:
    stack = build(new_app(tmp_path, alarmEmail="ops@example.com"))
    acknowledged = {
        construct.node.path: acknowledgements(construct)
        for construct in [stack.node.root, *stack.node.find_all()]
        if acknowledgements(construct)
    }

    assert acknowledged
    for path, rules in acknowledged.items():
        resources = [
            child
            for child in stack.node.root.node.find_child(stack.node.id).node.find_all()
            if cdk.CfnResource.is_cfn_resource(child)
            and (child.node.path == path or child.node.path.startswith(f"{path}/"))
        ]
        assert path.count("/") > 1, f"{path} is no single construct of the stack"
        assert all(len(reason.split()) > 8 for reason in rules.values()), f"{path} needs reasons"
        assert resources, path
