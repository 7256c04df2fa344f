"""The CDK app for the local stack: the very same, whose schedules can be told to fire when somebody looks on."""

from __future__ import annotations

import sys

import aws_cdk as cdk
from aws_cdk import aws_scheduler as scheduler

from app import build
from infra.config import ConfigurationError

if __name__ == "__main__":
    app = cdk.App()
    try:
        build(app)
    except ConfigurationError as error:
        sys.exit(f"Please correct:\n{error}")
    schedule = app.node.try_get_context("schedule")  # of the local stack: no one wants to wait for 3 o'clock
    for node in app.node.find_all():
        if isinstance(node, scheduler.CfnSchedule) and schedule:
            node.schedule_expression = schedule
            node.state = "ENABLED"
    app.synth()
