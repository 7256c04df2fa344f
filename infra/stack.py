"""The whole service: which construct knows which."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import CfnOutput, Duration, Stack
from aws_cdk import aws_lambda as lambda_

from infra import bundling
from infra.alarms import Alarms
from infra.dashboard import Dashboard
from infra.encryption import Encryption
from infra.environment import environment
from infra.function import ARCHITECTURES, RUNTIME, Package, ServiceFunction
from infra.ingress import Ingress
from infra.queue import RequestQueue
from infra.schedule import DISPATCHED_EVERY, SWEPT_EVERY, Regular, Schedules
from infra.storage import BY_DUE, BY_PAIR, BY_STATUS, Storage
from infra.telemetry import Watched
from model.contract import DEFAULT_PORTAL

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from constructs import Construct

    from infra.config import Settings
    from infra.limits import ScheduledRequest

# API Gateway waits 29 seconds for an integration; a function that runs longer answers nobody.
WEBHOOK_TIMEOUT = Duration.seconds(29)
CLOCK_TIMEOUT = Duration.minutes(5)
DISPATCHER_TIMEOUT = Duration.seconds(55)  # so that a run has mostly ended when the next begins


class AssociationLimitsStack(Stack):
    """Three triggers, one ledger, and three functions that leave no request behind.

    `source` is the directory of what runs in Lambda.
    """

    def __init__(
        self, scope: Construct, settings: Settings, scheduled: Sequence[ScheduledRequest], source: Path
    ) -> None:
        super().__init__(
            scope,
            settings.stack_name,
            description="Sets HubSpot association limits by webhook, queue and schedule, and keeps every outcome",
            termination_protection=settings.deletion_protection,
        )
        encryption = Encryption(self, "Encryption", settings)
        storage = Storage(self, "Storage", settings, encryption)
        queue = RequestQueue(self, "Queue", settings, encryption)
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
            environment=environment(settings, storage, queue),
            encryption=encryption,
        )
        run = [
            storage.keep_outcomes(),
            storage.keep_many_outcomes(),
            *storage.search_outcomes(BY_PAIR, BY_STATUS),
            *storage.renew_tokens(),
        ]
        webhook = ServiceFunction(
            self,
            "Webhook",
            settings,
            package,
            handler="webhook.handler",
            description="Answers HTTP requests: runs them now or queues them, and shows outcomes",
            timeout=WEBHOOK_TIMEOUT,
            permissions=[*run, storage.read_clients(), queue.send()],
            environment={
                "CLIENTS_SECRET": storage.clients_name,
                "AUTHORIZATION": settings.authorization,
                "PUBLIC_URL": settings.public_url,
                "CORS_ORIGIN": settings.cors_origin,
            },
        )
        consumer = ServiceFunction(
            self,
            "Consumer",
            settings,
            package,
            handler="consumer.handler",
            description="Runs queued and deferred requests",
            timeout=Duration.seconds(settings.consumer.timeout_seconds),
            permissions=[*run, *storage.search_outcomes(BY_DUE), queue.consume(), queue.send()],
        )
        clock = ServiceFunction(
            self,
            "Scheduled",
            settings,
            package,
            handler="scheduled.handler",
            description="Runs requests by the clock",
            timeout=CLOCK_TIMEOUT,
            permissions=[*run, queue.send()],
            dead_letters=queue.dead_letters,
        )
        dead_letters = ServiceFunction(
            self,
            "DeadLetters",
            settings,
            package,
            handler="dead_letters.handler",
            description="Runs alone what may have killed the consumer, and settles it as failed if it does so again",
            timeout=Duration.seconds(settings.consumer.timeout_seconds),
            permissions=[*run, queue.consume_dead_letters(), queue.send()],
        )
        sweep = ServiceFunction(
            self,
            "Sweep",
            settings,
            package,
            handler="sweep.handler",
            description="Puts requests that nobody works on any more back on the queue, and has pairs verified",
            timeout=CLOCK_TIMEOUT,
            permissions=[*storage.search_outcomes(BY_STATUS), storage.update_outcomes(), queue.send()],
            no_dead_letters="Its event holds no request, and the next run repeats the work of one that failed.",
        )
        dispatcher = ServiceFunction(
            self,
            "Dispatcher",
            settings,
            package,
            handler="dispatcher.handler",
            description="Has what waits in the ledger run when it is due",
            timeout=DISPATCHER_TIMEOUT,
            permissions=[*storage.move_gates(), queue.send()],
            no_dead_letters="Its event holds no request, and the next run repeats the work of one that failed.",
        )
        for runs in (webhook, consumer, clock, dead_letters):
            storage.acknowledge_tokens(runs.role)
        ingress = Ingress(self, "Ingress", settings, encryption, webhook.invoked)
        queue.drained_by(consumer.invoked)
        queue.dead_letters_drained_by(dead_letters.invoked)
        self.schedules = Schedules(self, "Schedules", scheduled, clock.invoked, queue.dead_letters, encryption)
        Regular(self, "RegularSweep", sweep.invoked, SWEPT_EVERY)
        Regular(self, "RegularDispatch", dispatcher.invoked, DISPATCHED_EVERY)
        functions = {
            "Webhook": webhook.function,
            "Consumer": consumer.function,
            "Scheduled": clock.function,
            "DeadLetters": dead_letters.function,
            "Sweep": sweep.function,
            "Dispatcher": dispatcher.function,
        }
        watched = Watched(settings.stack_name, functions, queue, ingress, storage)
        Alarms(self, "Alarms", settings, watched, encryption)
        Dashboard(self, "Dashboard", settings, watched)
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
            "SecretPrefix": storage.secret_prefix,
        }
        for name, value in outputs.items():
            CfnOutput(self, name, value=value)
