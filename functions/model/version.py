"""Which version this is, as AWS and HubSpot are told with each call."""

VERSION = "0.1.0"
USER_AGENT = f"hubspot-association-limits/{VERSION}"
