"""The CDK app for the local stack: the very same, whose schedules can be told to fire when somebody looks on."""

from __future__ import annotations

from aws_cdk import Stack
from aws_cdk import aws_scheduler as scheduler

from app import main


def fire_soon(stack: Stack) -> None:
    """Let every schedule run by the context's `schedule` expression instead of its own, where there is one."""
    expression = stack.node.try_get_context("schedule")
    for node in stack.node.find_all():
        if expression and isinstance(node, scheduler.CfnSchedule):
            node.schedule_expression = expression
            node.state = "ENABLED"


if __name__ == "__main__":
    main(fire_soon)
