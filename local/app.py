"""The CDK app as the emulator can take it: the very same, with nothing left out and one thing said in other words."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_scheduler as scheduler

from app import build


def flatten(alarm: cloudwatch.CfnAlarm) -> None:
    """Write an alarm on one metric with the metric's properties as its own.

    The emulator's CloudFormation knows no other alarm. CDK writes a list of queries instead as soon as the metric has
    a label; for a single metric both mean the same. An alarm on a calculation is left for the emulator to refuse.
    """
    match alarm.metrics:
        case [
            cloudwatch.CfnAlarm.MetricDataQueryProperty(
                metric_stat=cloudwatch.CfnAlarm.MetricStatProperty(
                    metric=cloudwatch.CfnAlarm.MetricProperty() as metric
                ) as stat
            )
        ]:
            alarm.metrics = None
            alarm.namespace = metric.namespace
            alarm.metric_name = metric.metric_name
            alarm.dimensions = metric.dimensions
            alarm.period = stat.period
            alarm.statistic = stat.stat


if __name__ == "__main__":
    app = cdk.App()
    build(app)
    schedule = app.node.try_get_context("schedule")  # of the local stack: no one wants to wait for 3 o'clock
    for node in app.node.find_all():
        if isinstance(node, cloudwatch.CfnAlarm):
            flatten(node)
        elif isinstance(node, scheduler.CfnSchedule) and schedule:
            node.schedule_expression = schedule
            node.state = "ENABLED"
    app.synth()
