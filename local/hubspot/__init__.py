"""A stateful stand-in for HubSpot's association-limits API, for tests and rehearsals on one machine."""
