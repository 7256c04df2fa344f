"""The ledger of outcomes, the secrets (a HubSpot token per portal and the keys of our clients), and access tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import ArnFormat, RemovalPolicy, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_secretsmanager as secrets
from constructs import Construct

from infra.nag import acknowledge

if TYPE_CHECKING:
    from infra.config import Settings
    from infra.encryption import Encryption

BY_PAIR = "by-pair"
BY_STATUS = "by-status"
BY_DUE = "by-due"
# By the index's name its keys: the partition's, and the one that sorts, oldest first.
INDEXES = {BY_PAIR: ("pairKey", "sortKey"), BY_STATUS: ("statusKey", "sortKey"), BY_DUE: ("dueKey", "dueSort")}


class Storage(Construct):
    """The table `outcomes`, one item per request; secrets by name: `token_names` of the first portals, and
    `clients_name`. Other portals are secrets as well, below `secret_prefix`, and no resources of the stack. The table
    `access_tokens` has what refreshes of OAuth tokens brought, one item per portal."""

    def __init__(self, scope: Construct, id: str, settings: Settings, encryption: Encryption) -> None:
        super().__init__(scope, id)
        self._encryption = encryption
        self.outcomes = dynamodb.Table(
            self,
            "Outcomes",
            partition_key=_text("id"),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            time_to_live_attribute="expiresAt",
            encryption_key=encryption.data_key,
            deletion_protection=settings.deletion_protection,
            removal_policy=settings.removal_policy,
        )
        encryption.acknowledge(self.outcomes, "CKV_AWS_119")
        for name, (partition_key, sort_key) in INDEXES.items():
            self.outcomes.add_global_secondary_index(
                index_name=name,
                partition_key=_text(partition_key),
                sort_key=_text(sort_key),
                projection_type=dynamodb.ProjectionType.KEYS_ONLY,
            )
        self.access_tokens = self._access_tokens(encryption)
        self.secret_prefix = settings.secret_prefix
        self.token_names = {portal: f"{self.secret_prefix}/{portal}" for portal in settings.portals}
        self.clients_name = f"{settings.stack_name}/clients"
        for portal, name in self.token_names.items():
            self._secret(
                f"Token-{portal}",
                settings,
                name=name,
                description=f"HubSpot token of portal {portal}: the token itself, or JSON with accessToken",
                template="{}",
                rotation="HubSpot has no interface that makes a new private-app token or service key; its owner does. "
                "The functions renew an OAuth token themselves and write it back.",
            )
        self._clients = self._secret(
            "Clients",
            settings,
            name=self.clients_name,
            description='Callers of the API: {"clients": [{"name", "keySha256", "portals", ...}]}, docs/security.md',
            template='{"clients": []}',
            rotation="A client's key is changed together with its owner; both hashes are valid in the meantime.",
        )

    def _access_tokens(self, encryption: Encryption) -> dynamodb.Table:
        key = encryption.data_key
        managed = dynamodb.TableEncryption.CUSTOMER_MANAGED if key else dynamodb.TableEncryption.AWS_MANAGED
        table = dynamodb.Table(
            self,
            "AccessTokens",
            partition_key=_text("id"),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            time_to_live_attribute="expiresAt",
            # Never under a key that AWS alone owns: the account's log shows who has read a token.
            encryption=managed,
            encryption_key=key,
            removal_policy=RemovalPolicy.DESTROY,  # what is lost is refreshed
        )
        encryption.acknowledge(table, "CKV_AWS_119")
        for rule in ("AwsSolutions-DDB3", "Serverless-DynamoDBPITR", "CKV_AWS_28"):
            acknowledge(
                table, rule, "Its tokens live half an hour and are refreshed where lost; a backup would keep them."
            )
        return table

    def _secret(
        self, id: str, settings: Settings, *, name: str, description: str, template: str, rotation: str
    ) -> secrets.Secret:
        secret = secrets.Secret(
            self,
            id,
            secret_name=name,
            description=description,
            encryption_key=self._encryption.data_key,
            # What is generated only fills the place: an object without accessToken can never be sent as a token.
            generate_secret_string=secrets.SecretStringGenerator(
                secret_string_template=template, generate_string_key="placeholder"
            ),
            removal_policy=settings.removal_policy,
        )
        acknowledge(secret, "AwsSolutions-SMG4", rotation)
        self._encryption.acknowledge(secret, "CKV_AWS_149")
        return secret

    def keep_outcomes(self) -> iam.PolicyStatement:
        """Leave to claim, read and settle outcomes. Nothing may delete one."""
        return self._on_items("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem")

    def keep_many_outcomes(self) -> iam.PolicyStatement:
        """Leave to claim and settle outcomes together with their pair, by PartiQL's INSERT and UPDATE."""
        return self._on_items("dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate")

    def update_outcomes(self) -> iam.PolicyStatement:
        """Leave to change outcomes that are known already."""
        return self._on_items("dynamodb:UpdateItem")

    def move_gates(self) -> list[iam.PolicyStatement]:
        """Leave to see what waits in the ledger, and to note until when."""
        return [
            iam.PolicyStatement(actions=["dynamodb:Query"], resources=[f"{self.outcomes.table_arn}/index/{BY_DUE}"]),
            self._on_items("dynamodb:GetItem", "dynamodb:UpdateItem"),
        ]

    def search_outcomes(self, *indexes: str) -> list[iam.PolicyStatement]:
        """Leave to list outcomes by these of INDEXES: keys from the index, then the items."""
        arns = [f"{self.outcomes.table_arn}/index/{index}" for index in indexes]
        return [
            iam.PolicyStatement(actions=["dynamodb:Query"], resources=arns),
            self._on_items("dynamodb:BatchGetItem"),
        ]

    def _on_items(self, *actions: str) -> iam.PolicyStatement:
        return iam.PolicyStatement(actions=list(actions), resources=[self.outcomes.table_arn])

    @property
    def _tokens(self) -> str:
        return Stack.of(self).format_arn(
            service="secretsmanager",
            resource="secret",
            resource_name=f"{self.secret_prefix}/*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )

    def acknowledge_tokens(self, role: iam.Role) -> None:
        """Live with the one wildcard on resources of the owner's, in a role with `renew_tokens`."""
        shown = f"arn:<AWS::Partition>:secretsmanager:<AWS::Region>:<AWS::AccountId>:secret:{self.secret_prefix}/*"
        acknowledge(
            role,
            f"AwsSolutions-IAM5[Resource::{shown}]",
            "A portal is a secret below this prefix, so that one is added without a deployment. Nothing else is there.",
        )

    def renew_tokens(self) -> list[iam.PolicyStatement]:
        """Leave to read each portal's secret, to write a refresh token that HubSpot has replaced, and to keep access
        tokens."""
        secrets = [
            "secretsmanager:GetSecretValue",
            "secretsmanager:PutSecretValue",
            "secretsmanager:UpdateSecretVersionStage",
        ]
        table = self.access_tokens.table_arn
        return [
            iam.PolicyStatement(actions=secrets, resources=[self._tokens]),
            iam.PolicyStatement(actions=["dynamodb:GetItem", "dynamodb:UpdateItem"], resources=[table]),
        ]

    def read_clients(self) -> iam.PolicyStatement:
        """Leave to read the hashes of the clients' keys."""
        return iam.PolicyStatement(actions=["secretsmanager:GetSecretValue"], resources=[self._clients.secret_arn])


def _text(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)
