"""Routes of sessions, schedules and gaps."""
