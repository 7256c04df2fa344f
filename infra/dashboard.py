"""What a person who was called looks at first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cdk_monitoring_constructs as monitoring
from constructs import Construct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_cdk import aws_cloudwatch as cloudwatch

    from infra.config import Settings
    from infra.telemetry import Watched

# How a request can end, by the metric that counts it.
ENDS = ["OutcomeComplete", "OutcomePartial", "OutcomeRejected", "OutcomeUnconfirmed", "OutcomeFailed"]


class Dashboard(Construct):
    """One dashboard, named after the stack: the way of a request from the API over the queue to the ledger."""

    def __init__(self, scope: Construct, id: str, settings: Settings, watched: Watched) -> None:
        super().__init__(scope, id)
        # Only its widgets: its alarms are metric expressions, which say less and which not everything that deploys
        # this stack understands. infra/alarms.py has plain ones.
        facade = monitoring.MonitoringFacade(
            self,
            "Monitoring",
            dashboard_factory=monitoring.DefaultDashboardFactory(
                self, "Factory", dashboard_name_prefix=settings.stack_name
            ),
        )
        facade.add_large_header(settings.stack_name)
        facade.monitor_custom(
            human_readable_name="Requests by their end",
            alarm_friendly_name="Ends",
            metric_groups=[
                _graph("Outcomes", [watched.counted(name) for name in ENDS]),
                _graph("Found again by the sweep", [watched.counted("SweptOutcomes")]),
                _graph("Age of the oldest open request, in seconds", [watched.counted("OldestOpen", "Maximum")]),
                _graph("Portals misconfigured", [watched.counted("PortalMisconfigured")]),
            ],
        )
        api = watched.ingress.api
        facade.monitor_api_gateway(api=api, api_stage=api.deployment_stage.stage_name, human_readable_name="API")
        facade.monitor_sqs_queue_with_dlq(
            queue=watched.queue.main,
            dead_letter_queue=watched.queue.dead_letters,
            human_readable_name="Requests",
        )
        for name, function in watched.functions.items():
            facade.monitor_lambda_function(lambda_function=function, human_readable_name=name)
        facade.monitor_dynamo_table(table=watched.storage.outcomes, human_readable_name="Outcomes")


def _graph(title: str, metrics: Sequence[cloudwatch.Metric]) -> monitoring.CustomMetricGroup:
    return monitoring.CustomMetricGroup(title=title, metrics=list(metrics))
