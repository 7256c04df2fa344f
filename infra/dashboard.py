"""What a person who was called looks at first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cdk_monitoring_constructs as monitoring
from constructs import Construct

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_cdk import aws_lambda as lambda_

    from infra.config import Settings
    from infra.ingress import Ingress
    from infra.queue import RequestQueue
    from infra.storage import Storage


class Dashboard(Construct):
    """One dashboard, named after the stack: the way of a request from the API over the queue to the ledger."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        settings: Settings,
        *,
        functions: Mapping[str, lambda_.Function],
        queue: RequestQueue,
        ingress: Ingress,
        storage: Storage,
    ) -> None:
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
        stage = ingress.api.deployment_stage.stage_name
        facade.monitor_api_gateway(api=ingress.api, api_stage=stage, human_readable_name="API")
        facade.monitor_sqs_queue_with_dlq(
            queue=queue.main, dead_letter_queue=queue.dead_letters, human_readable_name="Requests"
        )
        for name, function in functions.items():
            facade.monitor_lambda_function(lambda_function=function, human_readable_name=name)
        facade.monitor_dynamo_table(table=storage.outcomes, human_readable_name="Outcomes")
