"""What calls a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import ArnFormat, Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.nag import acknowledge

if TYPE_CHECKING:
    from aws_cdk import aws_kms as kms

    from infra.config import Settings
    from infra.encryption import Encryption
    from infra.telemetry import Watched

# Longer than every deferral but that of a spent daily quota, which is worth knowing.
OLDEST = Duration.hours(1)


class Alarms(Construct):
    """Alarms on `topic`: bad ends, portals that refuse us, stuck queues, errors and throttles of functions and API."""

    def __init__(self, scope: Construct, id: str, settings: Settings, watched: Watched, encryption: Encryption) -> None:
        super().__init__(scope, id)
        self.topic = self._topic(settings, encryption.key)
        self._watch_outcomes(watched)
        self._watch_queues(watched)
        for name, function in watched.functions.items():
            self._ring(f"{name}Errors", function.metric_errors(), f"An invocation failed; see the log of {name}.")
            self._ring(f"{name}Throttles", function.metric_throttles(), "The account's concurrency does not suffice.")
        self._ring(
            "ApiErrors",
            watched.ingress.api.deployment_stage.metric_server_error(statistic="Sum"),
            "The API answered 5xx; the access log has the request ids, which are the correlationIds of the answers.",
        )

    def _watch_outcomes(self, watched: Watched) -> None:
        self._ring(
            "OutcomeFailed",
            watched.counted("OutcomeFailed"),
            "Requests were given up. GET /outcomes?portal=NAME&status=FAILED has each with its reason. Mend the cause, "
            "then POST /outcomes/{id}/replay.",
        )
        self._ring(
            "OutcomeUnconfirmed",
            watched.counted("OutcomeUnconfirmed"),
            "Requests were sent, and even reading back could not prove what became of them: "
            "GET /outcomes?portal=NAME&status=UNCONFIRMED. Compare with HubSpot, then POST /outcomes/{id}/replay where "
            "it differs.",
        )
        # SQS's own age of the oldest message leaves out what was received three times or more:
        # docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
        self._ring(
            "OldestOpen",
            watched.counted("OldestOpen", "Maximum"),
            "A request has waited for long, by the ledger: a daily quota is spent, HubSpot is down, or a token is "
            "refused. GET /outcomes?portal=NAME&status=DEFERRED has each with its reason.",
            above=OLDEST.to_seconds(),
            missing=cloudwatch.TreatMissingData.IGNORE,  # a sweep that fails has not found that all is well
        )
        self._ring(
            "PortalMisconfigured",
            watched.counted("PortalMisconfigured"),
            'The token of a portal is refused, lacks a scope or is gone. The log line "portal misconfigured" names the '
            "portal, and why its secret is to be mended; what waits on the queue then runs by itself.",
        )

    def _watch_queues(self, watched: Watched) -> None:
        queue = watched.queue
        # SQS reports nothing of a queue that nobody has touched for six hours, full or empty: what was wrong still is.
        quiet = cloudwatch.TreatMissingData.IGNORE
        self._ring(
            "DeadLetters",
            queue.dead_letters.metric_approximate_number_of_messages_visible(statistic="Maximum"),
            "Nobody takes dead letters: the function DeadLetters is throttled, or its event source mapping is off.",
            missing=quiet,
        )
        # A letter that comes back is taken and hidden again at once: SQS counts it in flight and hardly ever visible.
        # The least of five minutes tells it from letters that are being run.
        self._ring(
            "DeadLettersUnsettled",
            queue.dead_letters.metric_approximate_number_of_messages_not_visible(statistic="Minimum"),
            "A dead letter comes back, because it kills the function that runs it alone, or its outcome cannot be "
            "settled; or there are many. See the log of DeadLetters.",
            missing=quiet,
        )
        self._ring(
            "OldestMessage",
            queue.main.metric_approximate_age_of_oldest_message(statistic="Maximum"),
            "Messages wait for long before they are read: the consumer cannot keep up, or its event source mapping is "
            "off.",
            above=OLDEST.to_seconds(),
            missing=quiet,
        )

    def _ring(
        self,
        name: str,
        metric: cloudwatch.Metric,
        description: str,
        above: float = 0,
        missing: cloudwatch.TreatMissingData = cloudwatch.TreatMissingData.NOT_BREACHING,
    ) -> None:
        alarm = cloudwatch.Alarm(
            self,
            name,
            alarm_name=f"{Stack.of(self).stack_name}-{name}",
            alarm_description=description,
            metric=metric,
            threshold=above,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            # One breach is enough: a nightly schedule fails once a day, and three in a row would never come.
            evaluation_periods=1,
            treat_missing_data=missing,
        )
        action = actions.SnsAction(self.topic)
        alarm.add_alarm_action(action)
        alarm.add_ok_action(action)

    def _topic(self, settings: Settings, key: kms.Key) -> sns.Topic:
        # CloudWatch cannot publish to a topic encrypted with the key that AWS manages for SNS:
        # docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html
        topic = sns.Topic(self, "Topic", display_name=settings.stack_name, master_key=key, enforce_ssl=True)
        # A topic with a policy no longer has the default one, by which the account's alarms may publish.
        cloudwatch = iam.ServicePrincipal("cloudwatch.amazonaws.com")
        own_alarms = {
            "StringEquals": {"aws:SourceAccount": Stack.of(self).account},
            "ArnLike": {
                "aws:SourceArn": Stack.of(self).format_arn(
                    service="cloudwatch", resource="alarm", resource_name="*", arn_format=ArnFormat.COLON_RESOURCE_NAME
                )
            },
        }
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[cloudwatch], actions=["sns:Publish"], resources=[topic.topic_arn], conditions=own_alarms
            )
        )
        key.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[cloudwatch],
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                resources=["*"],  # in a key's own policy: this key
                conditions={"StringEquals": {"aws:SourceAccount": Stack.of(self).account}},
            )
        )
        if settings.alarm_email:
            subscription = topic.add_subscription(subscriptions.EmailSubscription(settings.alarm_email))
            acknowledge(
                subscription,
                "Serverless-SNSRedrivePolicy",
                "A mail that cannot be delivered is worth nothing later; the alarm itself stays in CloudWatch.",
            )
        return topic
