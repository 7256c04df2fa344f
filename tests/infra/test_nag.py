"""The security gate: cdk-nag runs in every synth, and what it was told to accept is told of one resource each."""

from __future__ import annotations

from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs
from aws_cdk.assertions import Template

from app import build
from infra.nag import acknowledged
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


def test_every_finding_we_live_with_is_of_one_resource_and_has_a_reason(tmp_path: Path) -> None:
    app = new_app(tmp_path, alarmEmail="ops@example.com")
    build(app)

    found = list(acknowledged(app))

    assert found
    for construct, rule, reason in found:
        assert cdk.CfnResource.is_cfn_resource(construct), f"{construct.node.path} may be more than one resource"
        assert len(reason.split()) > 8, f"why is {rule} no fault of {construct.node.path}?"
