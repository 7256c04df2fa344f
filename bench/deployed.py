"""The settings that are deployed by default. cdk.json is read, because infra.config brings CDK and its Node with it."""

from __future__ import annotations

import json
from typing import Any

from local.processes import ROOT

SETTINGS: dict[str, Any] = json.loads((ROOT / "cdk.json").read_text())["context"]["settings"]
BATCH_SIZE = int(SETTINGS["batchSize"])


def environment() -> dict[str, str]:
    """Environment variables of a function, but for names and addresses of what it uses."""
    return {
        "HUBSPOT_API_VERSIONS": ",".join(SETTINGS["apiVersions"]),
        "PORTALS": "default",
        "OUTCOME_RETENTION_DAYS": str(SETTINGS["outcomeRetentionDays"]),
        "BATCH_SIZE": str(BATCH_SIZE),
        "QUOTA_CALLS": str(SETTINGS["quota"]["callsPer10Seconds"]),
        "HEAD_ROOM": str(SETTINGS["quota"]["headRoomPercent"] / 100),
        "POWERTOOLS_SERVICE_NAME": "bench",
        "POWERTOOLS_METRICS_NAMESPACE": "bench",
        "POWERTOOLS_LOG_LEVEL": SETTINGS["logLevel"],
    }
