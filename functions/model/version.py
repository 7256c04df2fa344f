"""The version, which each call to AWS and HubSpot names."""

VERSION = "0.1.0"
USER_AGENT = f"hubspot-association-limits/{VERSION}"
