"""The queue of requests and the queue of those that were given up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.nag import acknowledge

if TYPE_CHECKING:
    from infra.config import Settings

# The most SQS keeps. A message keeps its first date when it moves to the dead-letter queue, so that a request that was
# deferred for days has the rest of the fortnight there.
RETENTION = Duration.days(14)


class RequestQueue(Construct):
    """`main`, which the consumer drains, and `dead_letters`, which people look at."""

    def __init__(self, scope: Construct, id: str, settings: Settings) -> None:
        super().__init__(scope, id)
        self._consumer = settings.consumer
        # Named, because each queue's policy has to name the other and one of the two names must come first.
        name = f"{settings.stack_name}-requests"
        main_arn = Stack.of(self).format_arn(service="sqs", resource=name)
        self.dead_letters = sqs.Queue(
            self,
            "DeadLetters",
            retention_period=RETENTION,
            enforce_ssl=True,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            redrive_allow_policy=sqs.RedriveAllowPolicy(
                redrive_permission=sqs.RedrivePermission.BY_QUEUE,
                source_queues=[sqs.Queue.from_queue_arn(self, "MainByName", main_arn)],
            ),
        )
        acknowledge(
            self.dead_letters,
            "Serverless-SQSRedrivePolicy",
            "This is the dead-letter queue: people look at what arrives here, and an alarm calls them.",
        )
        # Six times the function's timeout and the time a batch may wait before it:
        # docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
        visibility = 6 * settings.consumer.timeout_seconds + settings.consumer.batch_window_seconds
        self.main = sqs.Queue(
            self,
            "Main",
            queue_name=name,
            visibility_timeout=Duration.seconds(visibility),
            retention_period=RETENTION,
            enforce_ssl=True,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            dead_letter_queue=sqs.DeadLetterQueue(
                queue=self.dead_letters, max_receive_count=settings.consumer.max_receives
            ),
        )

    def send(self) -> iam.PolicyStatement:
        """Leave to hand a request over."""
        return iam.PolicyStatement(actions=["sqs:SendMessage"], resources=[self.main.queue_arn])

    def consume(self) -> iam.PolicyStatement:
        """Leave to take requests, to defer them and to be done with them."""
        return iam.PolicyStatement(
            actions=[
                "sqs:ReceiveMessage",
                "sqs:DeleteMessage",
                "sqs:GetQueueAttributes",
                "sqs:ChangeMessageVisibility",
            ],
            resources=[self.main.queue_arn],
        )

    def drained_by(self, function: lambda_.Function) -> None:
        """Let `function` be invoked with batches of messages. It answers with the ids of those it did not finish."""
        window = self._consumer.batch_window_seconds
        mapping = lambda_.EventSourceMapping(
            self,
            "Mapping",
            target=function,
            event_source_arn=self.main.queue_arn,
            batch_size=self._consumer.messages_per_invocation,
            max_batching_window=Duration.seconds(window) if window else None,
            max_concurrency=self._consumer.maximum_concurrency,
            report_batch_item_failures=True,
        )
        acknowledge(
            mapping,
            "Serverless-LambdaEventSourceMappingDestination",
            "Lambda has no failure destination for SQS; the queue's own redrive policy moves what failed.",
        )
