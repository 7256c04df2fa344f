"""The CDK app for the local stack: the very same, whose requests can be told to run when somebody looks on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_scheduler as scheduler

from app import main

if TYPE_CHECKING:
    from infra.stack import AssociationLimitsStack


def fire_soon(stack: AssociationLimitsStack) -> None:
    """Let every scheduled request run by the context's `schedule` expression instead of its own, if there is one."""
    expression = stack.node.try_get_context("schedule")
    for node in stack.schedules.node.find_all():  # not the sweep, which stays hourly
        if expression and isinstance(node, scheduler.CfnSchedule):
            node.schedule_expression = expression
            node.state = "ENABLED"


if __name__ == "__main__":
    main(fire_soon)
