"""Routes of the service's state, its metrics and journeys."""
