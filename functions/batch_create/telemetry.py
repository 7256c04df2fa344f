"""One logger and one set of metrics for a function; service and namespace come from its environment."""

from __future__ import annotations

import warnings

from aws_lambda_powertools import Logger, Metrics

# An invocation that settled nothing, such as a read of the ledger, has nothing to count, and that is no fault.
warnings.filterwarnings("ignore", "No application metrics to publish")

logger = Logger()
metrics = Metrics()
