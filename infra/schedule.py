"""Requests that run by the clock: one EventBridge Scheduler schedule for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Duration, Stack, TimeZone
from aws_cdk import aws_iam as iam
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as targets
from constructs import Construct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_cdk import aws_lambda as lambda_
    from aws_cdk import aws_sqs as sqs

    from infra.limits import ScheduledRequest


class Schedules(Construct):
    """One schedule per request, each invoking `function` with the request as its event.

    What Scheduler itself cannot deliver within an hour goes to `dead_letters`; an accepted invocation is from then on
    Lambda's to retry, and ends in the same queue when it fails for good.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        requests: Sequence[ScheduledRequest],
        function: lambda_.Function,
        dead_letters: sqs.Queue,
    ) -> None:
        super().__init__(scope, id)
        group = scheduler.ScheduleGroup(self, "Group")
        role = iam.Role(
            self,
            "Role",
            description="What EventBridge Scheduler may do for these schedules",
            # Only for schedules of this group in this account:
            # docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
            assumed_by=iam.ServicePrincipal(
                "scheduler.amazonaws.com",
                conditions={
                    "StringEquals": {
                        "aws:SourceAccount": Stack.of(self).account,
                        "aws:SourceArn": group.schedule_group_arn,
                    }
                },
            ),
            inline_policies={
                "permissions": iam.PolicyDocument(
                    statements=[
                        iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[function.function_arn]),
                        iam.PolicyStatement(actions=["sqs:SendMessage"], resources=[dead_letters.queue_arn]),
                    ]
                )
            },
        )
        for request in requests:
            event = request.envelope.model_dump(mode="json", by_alias=True, exclude_none=True)
            scheduler.Schedule(
                self,
                f"Schedule-{request.name}",
                schedule_group=group,
                schedule_name=request.name,
                description=request.description,
                enabled=request.enabled,
                schedule=scheduler.ScheduleExpression.expression(
                    request.expression, TimeZone.of(request.timezone) if request.timezone else None
                ),
                target=targets.LambdaInvoke(
                    function,
                    input=scheduler.ScheduleTargetInput.from_object(
                        # Not the execution id, which is another one for each attempt of the same firing.
                        {**event, "idempotencyKey": f"{request.name} {scheduler.ContextAttribute.scheduled_time}"}
                    ),
                    role=role.without_policy_updates(),
                    dead_letter_queue=dead_letters,
                    # Scheduler backs off between attempts; an hour outlasts a passing fault and still precedes the
                    # next run of the shortest sensible schedule.
                    max_event_age=Duration.hours(1),
                    retry_attempts=10,
                ),
            )
