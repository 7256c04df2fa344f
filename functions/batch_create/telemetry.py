"""One logger and one set of metrics for a function; service and namespace come from its environment."""

from __future__ import annotations

from aws_lambda_powertools import Logger, Metrics

logger = Logger()
metrics = Metrics()
