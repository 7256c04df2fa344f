"""One Lambda function with a role and a log group of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_cdk import Annotations, Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.logs import log_group
from infra.nag import acknowledge

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aws_cdk import aws_sqs as sqs

    from infra.config import Settings
    from infra.encryption import Encryption

RUNTIME = lambda_.Runtime.PYTHON_3_13
ARCHITECTURES = {"arm64": lambda_.Architecture.ARM_64, "x86_64": lambda_.Architecture.X86_64}
LOG_LEVELS = {
    "DEBUG": lambda_.ApplicationLogLevel.DEBUG,
    "INFO": lambda_.ApplicationLogLevel.INFO,
    "WARNING": lambda_.ApplicationLogLevel.WARN,
    "ERROR": lambda_.ApplicationLogLevel.ERROR,
}

SYNCHRONOUS = "Only invoked synchronously (API Gateway, SQS source mapping), where Lambda never uses such a queue."


@dataclass(frozen=True)
class Package:
    """What all functions share: their code, their dependencies, their environment and what encrypts it."""

    code: lambda_.Code
    dependencies: lambda_.LayerVersion
    environment: Mapping[str, str]
    encryption: Encryption


class ServiceFunction(Construct):
    """`function`, whose `role` allows exactly `permissions`, its own log, its traces, and the key of the data if any.

    `invoked` is what others call: with SnapStart the newest published version, of which Lambda has a snapshot, and
    else the function itself.

    `dead_letters` receives the event of an asynchronous invocation that failed for good: the request itself, as it
    would stand in a message of the main queue. Without it, `no_dead_letters` is the reason why none is needed.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        settings: Settings,
        package: Package,
        *,
        handler: str,
        description: str,
        timeout: Duration,
        permissions: Sequence[iam.PolicyStatement],
        environment: Mapping[str, str] | None = None,
        dead_letters: sqs.IQueue | None = None,
        no_dead_letters: str = SYNCHRONOUS,
    ) -> None:
        super().__init__(scope, id)
        log = log_group(self, "Log", settings, package.encryption)
        own = [
            iam.PolicyStatement(actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[log.log_group_arn]),
            iam.PolicyStatement(actions=["xray:PutTraceSegments", "xray:PutTelemetryRecords"], resources=["*"]),
            *package.encryption.keep_data(),
        ]
        if dead_letters:
            own.append(iam.PolicyStatement(actions=["sqs:SendMessage"], resources=[dead_letters.queue_arn]))
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=f"What {handler} may do",
            inline_policies={"permissions": iam.PolicyDocument(statements=[*own, *permissions])},
        )
        for rule in ("AwsSolutions-IAM5[Resource::*]", "Serverless-LambdaStarPermissions"):
            acknowledge(self.role, rule, "X-Ray's two put actions take no resource; no other statement has this one.")
        self.function = lambda_.Function(
            self,
            "Function",
            description=description,
            runtime=RUNTIME,
            architecture=ARCHITECTURES[settings.architecture],
            code=package.code,
            layers=[package.dependencies],
            handler=handler,
            timeout=timeout,
            memory_size=settings.memory_mib,
            environment={**package.environment, **(environment or {})},
            environment_encryption=package.encryption.data_key,
            # Read only, so that what the role may do stands above in full and CDK adds nothing of its own.
            role=self.role.without_policy_updates(),
            log_group=log,
            logging_format=lambda_.LoggingFormat.JSON,
            application_log_level_v2=LOG_LEVELS[settings.log_level],
            tracing=lambda_.Tracing.ACTIVE,
            dead_letter_queue=dead_letters,
            snap_start=lambda_.SnapStartConf.ON_PUBLISHED_VERSIONS if settings.snap_start else None,
        )
        self.invoked: lambda_.IFunction = self.function
        if settings.snap_start:
            # A version that another replaces is deleted with its snapshot, which costs as long as it is kept.
            self.invoked = lambda_.Alias(self, "Live", alias_name="live", version=self.function.current_version)
            # CDK warns that only a published version has a snapshot; the alias names one.
            Annotations.of(self.function).acknowledge_warning("@aws-cdk/aws-lambda:snapStartRequirePublish")
        for rule in ("AwsSolutions-L1", "Serverless-LambdaLatestVersion"):
            acknowledge(
                self.function,
                rule,
                "Lambda supports Python 3.13 until 2029; the tests and the compiled bytecode are of that version.",
            )
        package.encryption.acknowledge(self.function, "CKV_AWS_173")
        acknowledge(
            self.function,
            "CKV_AWS_115",
            "Reserved concurrency would take from all else in the account; the stage's throttle and the event source's "
            "maximumConcurrency bound it.",
        )
        acknowledge(
            self.function,
            "CKV_AWS_117",
            "It reaches public addresses of AWS and HubSpot and nothing within a VPC, where it would need a gateway.",
        )
        if not dead_letters:
            for rule in ("Serverless-LambdaDLQ", "CKV_AWS_116"):
                acknowledge(self.function, rule, no_dead_letters)
