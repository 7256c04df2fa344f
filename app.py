"""The CDK app: settings in, one stack out."""

from __future__ import annotations

import sys
from pathlib import Path

import aws_cdk as cdk

ROOT = Path(__file__).resolve().parent
FUNCTIONS = ROOT / "functions"
sys.path.insert(0, str(FUNCTIONS))  # the schedules' requests are checked by the code that will run them

from infra import nag  # noqa: E402
from infra.config import ConfigurationError, parse_settings  # noqa: E402
from infra.limits import load_scheduled_requests  # noqa: E402
from infra.stack import AssociationLimitsStack  # noqa: E402


def build(app: cdk.App, root: Path = ROOT) -> AssociationLimitsStack:
    """The stack in `app`, checked by cdk-nag at synth. Raises ConfigurationError."""
    settings = parse_settings(app.node.try_get_context("settings"))
    scheduled = load_scheduled_requests(root / "limits", settings.schedules, settings.portals)
    nag.check(app)
    return AssociationLimitsStack(app, settings, scheduled, root / "functions")


if __name__ == "__main__":
    application = cdk.App()
    try:
        build(application)
    except ConfigurationError as error:
        sys.exit(f"Nothing was deployed. Please correct:\n{error}")
    application.synth()
