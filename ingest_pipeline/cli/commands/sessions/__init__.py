"""Commands on sessions and schedules."""
