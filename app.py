"""The CDK app: settings in, one stack out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import aws_cdk as cdk

from infra import nag
from infra.config import ConfigurationError, parse_settings
from infra.limits import load_scheduled_requests
from infra.stack import AssociationLimitsStack

ROOT = Path(__file__).resolve().parent


def build(app: cdk.App, root: Path = ROOT) -> AssociationLimitsStack:
    """The stack in `app`, checked by cdk-nag at synth. Raises ConfigurationError."""
    settings = parse_settings(app.node.try_get_context("settings"))
    scheduled = load_scheduled_requests(root / "limits", settings.schedules)
    nag.check(app)
    return AssociationLimitsStack(app, settings, scheduled, root / "functions")


def main(adapt: Callable[[AssociationLimitsStack], None] | None = None) -> None:
    """Synthesise the stack, after `adapt` has changed it. Exits with all that is wrong with the settings."""
    app = cdk.App()
    try:
        stack = build(app)
    except ConfigurationError as error:
        sys.exit(f"Nothing was deployed. Please correct:\n{error}")
    if adapt:
        adapt(stack)
    app.synth()


if __name__ == "__main__":
    main()
