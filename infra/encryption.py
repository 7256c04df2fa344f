"""The key that encrypts at rest, and what it encrypts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.nag import acknowledge

if TYPE_CHECKING:
    from constructs import IConstruct

    from infra.config import Settings


class Encryption(Construct):
    """`key`, this stack's own, always of the alarms' topic. `data_key` is the same where the settings ask for it.

    Data is then encrypted under a key whose use its owner sees in CloudTrail and can end. Else AWS's own keys do it.
    """

    def __init__(self, scope: Construct, id: str, settings: Settings) -> None:
        super().__init__(scope, id)
        self.key = kms.Key(
            self,
            "Key",
            description=f"Encrypts what {settings.stack_name} keeps",
            enable_key_rotation=True,
            removal_policy=settings.removal_policy,
        )
        self.data_key = self.key if settings.customer_managed_key else None
        if self.data_key:
            self._let_logs_use_it()

    def _let_logs_use_it(self) -> None:
        # docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
        stack = Stack.of(self)
        groups = stack.format_arn(
            service="logs", resource="log-group", resource_name="*", arn_format=ArnFormat.COLON_RESOURCE_NAME
        )
        self.key.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal(f"logs.{stack.region}.amazonaws.com")],
                actions=["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
                resources=["*"],  # in a key's own policy: this key
                conditions={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": groups}},
            )
        )

    def keep_data(self) -> list[iam.PolicyStatement]:
        """Leave to have encrypted and decrypted what the role may write and read. AWS's own keys need none."""
        # DynamoDB asks for the most:
        # docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html
        return self._on_data("kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey")

    def send_data(self) -> list[iam.PolicyStatement]:
        """Leave to have encrypted what the role may send to a queue. AWS's own keys need none."""
        return self._on_data("kms:Decrypt", "kms:GenerateDataKey")

    def acknowledge(self, construct: IConstruct, rule: str) -> None:
        """Live with checkov's rule that asks for a key of one's own, where the settings ask for none."""
        if not self.data_key:
            reason = "AWS's own key encrypts it; a key of one's own is the owner's choice, by customerManagedKey."
            acknowledge(construct, rule, reason)

    def _on_data(self, *actions: str) -> list[iam.PolicyStatement]:
        if not self.data_key:
            return []
        return [iam.PolicyStatement(actions=list(actions), resources=[self.data_key.key_arn])]
