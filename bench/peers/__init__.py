"""What people use instead: handlers on HubSpot's two SDKs, and one call for each event."""
