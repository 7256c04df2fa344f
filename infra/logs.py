"""Log groups that are never kept for ever by accident."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_logs as logs

from infra.retention import RETENTION

if TYPE_CHECKING:
    from constructs import Construct

    from infra.config import Settings
    from infra.encryption import Encryption


def log_group(
    scope: Construct, id: str, settings: Settings, encryption: Encryption, name: str | None = None
) -> logs.LogGroup:
    """A log group kept as long as the settings say; `name` only where AWS dictates one."""
    group = logs.LogGroup(
        scope,
        id,
        log_group_name=name,
        encryption_key=encryption.data_key,
        retention=RETENTION[settings.log_retention_days],
        removal_policy=settings.removal_policy,
    )
    encryption.acknowledge(group, "CKV_AWS_158")
    return group
