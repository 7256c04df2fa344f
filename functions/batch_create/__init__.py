"""One job for three triggers: claim, plan, call and settle requests to set HubSpot association limits."""

__version__ = "0.1.0"
