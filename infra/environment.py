"""What every function is told; functions/runtime/settings.py reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.telemetry import NAMESPACE

if TYPE_CHECKING:
    from infra.config import Settings
    from infra.queue import RequestQueue
    from infra.storage import Storage


def environment(settings: Settings, storage: Storage, queue: RequestQueue) -> dict[str, str]:
    """Environment variables by name. Lists are joined by commas, and each portal's time zone is `portal=Zone`."""
    return {
        "HUBSPOT_BASE_URL": settings.hubspot_base_url,
        "HUBSPOT_API_VERSIONS": ",".join(settings.api_versions),
        "PORTALS": ",".join(settings.portals),
        "PORTAL_TIME_ZONES": ",".join(f"{portal}={zone}" for portal, zone in settings.time_zones.items()),
        "TOKEN_SECRET_PREFIX": settings.secret_prefix,
        "OUTCOMES_TABLE": storage.outcomes.table_name,
        "ACCESS_TOKENS_TABLE": storage.access_tokens.table_name,
        "OUTCOME_RETENTION_DAYS": str(settings.outcome_retention_days),
        "READ_LAG_SECONDS": str(settings.read_lag_seconds),
        "GIVE_UP_AFTER_HOURS": str(settings.give_up_after_hours),
        "MISSING_SECRET_HOURS": str(settings.missing_secret_hours),
        "BATCH_SIZE": str(settings.batch_size),
        "QUOTA_CALLS": str(settings.quota.calls_per_10_seconds),
        "HEAD_ROOM": f"{settings.quota.head_room_percent / 100:g}",
        "QUEUE_URL": queue.main.queue_url,
        "POWERTOOLS_SERVICE_NAME": settings.stack_name,  # two stacks in one account share no metric
        "POWERTOOLS_METRICS_NAMESPACE": NAMESPACE,
        "POWERTOOLS_LOG_LEVEL": settings.log_level,
    }
