"""A fleet of portals in virtual time: what the deployment's settings make of a rollout, and of a bad neighbour."""
