"""One logger and one set of metrics for a function; service and namespace come from its environment."""

from __future__ import annotations

import json
import warnings
from threading import Lock
from typing import Any

from aws_lambda_powertools import Logger, Metrics, single_metric
from aws_lambda_powertools.metrics import MetricUnit

from runtime.redaction import redact

# An invocation that settled nothing, such as a read of the ledger, has nothing to count, and that is no fault.
warnings.filterwarnings("ignore", "No application metrics to publish")


def _serialised(line: dict[str, Any]) -> str:
    return redact(json.dumps(line, default=str, ensure_ascii=False, separators=(",", ":")))


logger = Logger(json_serializer=_serialised)  # the last place to find a secret in an exception's text
metrics = Metrics()
_counting = Lock()  # Powertools' metrics are not made for threads


def measure(name: str, seconds: float) -> None:
    """Measure how long something has taken, for an alarm or a dashboard."""
    with _counting:
        metrics.add_metric(name=name, unit=MetricUnit.Seconds, value=seconds)


def count(name: str, number: int = 1, **dimensions: str) -> None:
    """Count something for an alarm or a dashboard: by portal where its owner must act, or by reason."""
    with _counting:
        if not dimensions:
            metrics.add_metric(name=name, unit=MetricUnit.Count, value=number)
            return
        with single_metric(name=name, unit=MetricUnit.Count, value=number) as metric:
            for dimension, value in dimensions.items():
                metric.add_dimension(dimension, value)
