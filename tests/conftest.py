from __future__ import annotations

import os

# Powertools reads these when it is imported, which is before any fixture, and whichever test comes first.
os.environ.update(POWERTOOLS_METRICS_NAMESPACE="tests", POWERTOOLS_SERVICE_NAME="tests")
