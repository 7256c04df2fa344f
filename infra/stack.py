"""The whole service: which construct knows which."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import CfnOutput, Duration, Stack
from aws_cdk import aws_lambda as lambda_

from batch_create.contract import DEFAULT_PORTAL
from infra import bundling
from infra.alarms import Alarms
from infra.dashboard import Dashboard
from infra.function import ARCHITECTURES, RUNTIME, Package, ServiceFunction
from infra.ingress import Ingress
from infra.queue import RequestQueue
from infra.schedule import Schedules
from infra.storage import Storage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from constructs import Construct

    from infra.config import Settings
    from infra.limits import ScheduledRequest

# API Gateway waits 29 seconds for an integration; a function that runs longer answers nobody.
WEBHOOK_TIMEOUT = Duration.seconds(29)
SCHEDULED_TIMEOUT = Duration.minutes(5)


class AssociationLimitsStack(Stack):
    """Three triggers, one ledger. `source` is the directory of what runs in Lambda."""

    def __init__(
        self, scope: Construct, settings: Settings, scheduled: Sequence[ScheduledRequest], source: Path
    ) -> None:
        super().__init__(
            scope,
            settings.stack_name,
            description="Sets HubSpot association limits by webhook, queue and schedule, and keeps every outcome",
            termination_protection=settings.deletion_protection,
        )
        storage = Storage(self, "Storage", settings)
        queue = RequestQueue(self, "Queue", settings)
        package = Package(
            code=bundling.code(source, settings),
            dependencies=lambda_.LayerVersion(
                self,
                "Dependencies",
                code=bundling.dependencies(source, settings),
                description="functions/requirements.txt",
                compatible_runtimes=[RUNTIME],
                compatible_architectures=[ARCHITECTURES[settings.architecture]],
            ),
            environment=_environment(settings, storage, queue),
        )
        every_trigger = [storage.keep_outcomes(), storage.read_tokens()]
        webhook = ServiceFunction(
            self,
            "Webhook",
            settings,
            package,
            handler="webhook.handler",
            description="Answers HTTP requests: runs them now or queues them, and shows outcomes",
            timeout=WEBHOOK_TIMEOUT,
            permissions=[*every_trigger, storage.read_clients(), *storage.search_outcomes(), queue.send()],
            environment={"CLIENTS_SECRET": storage.clients_name},
        ).function
        consumer = ServiceFunction(
            self,
            "Consumer",
            settings,
            package,
            handler="consumer.handler",
            description="Runs queued and deferred requests",
            timeout=Duration.seconds(settings.consumer.timeout_seconds),
            permissions=[*every_trigger, queue.consume()],
        ).function
        clock = ServiceFunction(
            self,
            "Scheduled",
            settings,
            package,
            handler="scheduled.handler",
            description="Runs requests by the clock",
            timeout=SCHEDULED_TIMEOUT,
            permissions=[*every_trigger, queue.send()],
            dead_letters=queue.dead_letters,
        ).function
        ingress = Ingress(self, "Ingress", settings, webhook)
        queue.drained_by(consumer)
        Schedules(self, "Schedules", scheduled, clock, queue.dead_letters)
        functions = {"Webhook": webhook, "Consumer": consumer, "Scheduled": clock}
        Alarms(self, "Alarms", settings, functions=functions, queue=queue, ingress=ingress)
        Dashboard(self, "Dashboard", settings, functions=functions, queue=queue, ingress=ingress, storage=storage)
        token_names = storage.token_names
        outputs = {
            "ApiUrl": ingress.api.url,
            "ApiId": ingress.api.rest_api_id,
            "ApiStage": ingress.api.deployment_stage.stage_name,
            "QueueUrl": queue.main.queue_url,
            "DeadLetterQueueUrl": queue.dead_letters.queue_url,
            "OutcomesTable": storage.outcomes.table_name,
            "TokenSecretName": token_names.get(DEFAULT_PORTAL, token_names[settings.portals[0]]),
            "ClientsSecretName": storage.clients_name,
        }
        for name, value in outputs.items():
            CfnOutput(self, name, value=value)


def _environment(settings: Settings, storage: Storage, queue: RequestQueue) -> dict[str, str]:
    return {
        "HUBSPOT_BASE_URL": settings.hubspot_base_url,
        "HUBSPOT_API_VERSIONS": ",".join(settings.api_versions),
        "PORTALS": ",".join(settings.portals),
        "TOKEN_SECRET_PREFIX": settings.secret_prefix,
        "OUTCOMES_TABLE": storage.outcomes.table_name,
        "OUTCOME_RETENTION_DAYS": str(settings.outcome_retention_days),
        "BATCH_SIZE": str(settings.batch_size),
        "QUEUE_URL": queue.main.queue_url,
        "POWERTOOLS_SERVICE_NAME": "hubspot-association-limits",
        "POWERTOOLS_METRICS_NAMESPACE": "HubSpotAssociationLimits",
        "POWERTOOLS_LOG_LEVEL": settings.log_level,
    }
