"""The queue of requests and the queue of those that were given up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.nag import acknowledge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.config import Settings
    from infra.encryption import Encryption

# The most SQS keeps. A message keeps its first date when it moves to the dead-letter queue.
RETENTION = Duration.days(14)
# What Lambda's event source mapping does on the function's behalf.
POLLING = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]


class RequestQueue(Construct):
    """`main`, and `dead_letters` for what it gave up. Each is drained by a function of its own, which runs for as long
    as the other at most."""

    def __init__(self, scope: Construct, id: str, settings: Settings, encryption: Encryption) -> None:
        super().__init__(scope, id)
        data_key = encryption.data_key
        encrypted = sqs.QueueEncryption.KMS if data_key else sqs.QueueEncryption.SQS_MANAGED
        self._consumer = settings.consumer
        # Named, because each queue's policy has to name the other and one of the two names must come first.
        name = f"{settings.stack_name}-requests"
        main_arn = Stack.of(self).format_arn(service="sqs", resource=name)
        self.dead_letters = sqs.Queue(
            self,
            "DeadLetters",
            visibility_timeout=_hidden(self._consumer.timeout_seconds),
            retention_period=RETENTION,
            enforce_ssl=True,
            encryption=encrypted,
            encryption_master_key=data_key,
            redrive_allow_policy=sqs.RedriveAllowPolicy(
                redrive_permission=sqs.RedrivePermission.BY_QUEUE,
                source_queues=[sqs.Queue.from_queue_arn(self, "MainByName", main_arn)],
            ),
        )
        acknowledge(
            self.dead_letters,
            "Serverless-SQSRedrivePolicy",
            "This is the dead-letter queue: its consumer settles what arrives here, and an alarm rings when it cannot.",
        )
        self.main = sqs.Queue(
            self,
            "Main",
            queue_name=name,
            visibility_timeout=_hidden(self._consumer.timeout_seconds, self._consumer.batch_window_seconds),
            retention_period=RETENTION,
            enforce_ssl=True,
            encryption=encrypted,
            encryption_master_key=data_key,
            dead_letter_queue=sqs.DeadLetterQueue(
                queue=self.dead_letters, max_receive_count=self._consumer.max_receives
            ),
        )
        for queue in (self.main, self.dead_letters):
            _refuse_other_accounts(queue)
            encryption.acknowledge(queue, "CKV_AWS_27")
        _refuse_moves(self.dead_letters)

    def send(self) -> iam.PolicyStatement:
        """Leave to hand a request over."""
        return iam.PolicyStatement(actions=["sqs:SendMessage"], resources=[self.main.queue_arn])

    def consume(self) -> iam.PolicyStatement:
        """Leave to take requests, to hide them for a while and to be done with them."""
        return iam.PolicyStatement(actions=[*POLLING, "sqs:ChangeMessageVisibility"], resources=[self.main.queue_arn])

    def consume_dead_letters(self) -> iam.PolicyStatement:
        """Leave to take dead letters and to be done with them."""
        return iam.PolicyStatement(actions=POLLING, resources=[self.dead_letters.queue_arn])

    def drained_by(self, function: lambda_.IFunction) -> None:
        """Let `function` be invoked with batches of requests. It answers with the ids of those it did not finish."""
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

    def dead_letters_drained_by(self, function: lambda_.IFunction) -> None:
        """Let `function` be invoked with one dead letter at a time: what kills it harms no other. It answers with the
        id if it did not settle it."""
        mapping = lambda_.EventSourceMapping(
            self,
            "DeadLettersMapping",
            target=function,
            event_source_arn=self.dead_letters.queue_arn,
            batch_size=1,
            max_concurrency=2,  # the least: many come at once where one of them has killed the reader of all
            report_batch_item_failures=True,
        )
        acknowledge(
            mapping,
            "Serverless-LambdaEventSourceMappingDestination",
            "Lambda has no failure destination for SQS; a letter that was not settled comes back, and an alarm rings.",
        )


def _refuse_other_accounts(queue: sqs.Queue) -> None:
    # Whatever else a policy comes to allow. AWS's own services have no account; each must be allowed by name.
    conditions = {
        "StringNotEquals": {"aws:PrincipalAccount": Stack.of(queue).account},
        "Bool": {"aws:PrincipalIsAWSService": "false"},
    }
    _refuse(queue, "OtherAccounts", "sqs:*", conditions)


def _refuse_moves(queue: sqs.Queue) -> None:
    # A message that is moved back is a new one, with a new id and time: the request in it would be taken for younger
    # than those that were made since. What is given up is replayed instead, and keeps its age.
    _refuse(queue, "Moves", "sqs:StartMessageMoveTask")


def _refuse(queue: sqs.Queue, sid: str, action: str, conditions: Mapping[str, Any] | None = None) -> None:
    queue.add_to_resource_policy(
        iam.PolicyStatement(
            sid=sid,
            effect=iam.Effect.DENY,
            principals=[iam.AnyPrincipal()],
            actions=[action],
            resources=[queue.queue_arn],
            conditions=conditions,
        )
    )


def _hidden(timeout_seconds: float, window_seconds: float = 0) -> Duration:
    # Six times the function's timeout and the time a batch may wait before it:
    # docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    return Duration.seconds(6 * timeout_seconds + window_seconds)
