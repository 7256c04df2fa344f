"""What runs by the clock, by EventBridge Scheduler: a schedule for each request, the sweep and the dispatcher."""

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

    from infra.encryption import Encryption
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
        function: lambda_.IFunction,
        dead_letters: sqs.Queue,
        encryption: Encryption,
    ) -> None:
        super().__init__(scope, id)
        group = scheduler.ScheduleGroup(self, "Group")
        role = _role(
            self,
            group,
            iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[function.function_arn]),
            iam.PolicyStatement(actions=["sqs:SendMessage"], resources=[dead_letters.queue_arn]),
            *encryption.send_data(),
        )
        for request in requests:
            event = request.envelope.as_json()
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
                    role=role,
                    dead_letter_queue=dead_letters,
                    # Scheduler backs off between attempts; an hour outlasts a passing fault and still precedes the
                    # next run of the shortest sensible schedule.
                    max_event_age=Duration.hours(1),
                    retry_attempts=10,
                ),
            )


# A number that a late call has undone is put back after the next sweep: it must not take long.
SWEPT_EVERY = Duration.minutes(5)
DISPATCHED_EVERY = Duration.minutes(1)


class Regular(Construct):
    """Invokes `function` every few minutes. A run that cannot be started is left to the next, which finds the same."""

    def __init__(self, scope: Construct, id: str, function: lambda_.IFunction, every: Duration) -> None:
        super().__init__(scope, id)
        # Not the group of the requests' schedules: its names are those of files, and its role may do more.
        group = scheduler.ScheduleGroup(self, "Group")
        invoke = iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[function.function_arn])
        scheduler.Schedule(
            self,
            "Schedule",
            schedule_group=group,
            description="Nothing comes of its event but a run of the function",
            schedule=scheduler.ScheduleExpression.rate(every),
            target=targets.LambdaInvoke(
                function, role=_role(self, group, invoke), max_event_age=every, retry_attempts=0
            ),
        )


def _role(scope: Construct, group: scheduler.ScheduleGroup, *statements: iam.PolicyStatement) -> iam.IRole:
    role = iam.Role(
        scope,
        "Role",
        description="What EventBridge Scheduler may do for these schedules",
        # Only for schedules of this group in this account:
        # docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
        assumed_by=iam.ServicePrincipal(
            "scheduler.amazonaws.com",
            conditions={
                "StringEquals": {
                    "aws:SourceAccount": Stack.of(scope).account,
                    "aws:SourceArn": group.schedule_group_arn,
                }
            },
        ),
        inline_policies={"permissions": iam.PolicyDocument(statements=list(statements))},
    )
    # Read only, so that CDK adds nothing to what stands above.
    return role.without_policy_updates()
