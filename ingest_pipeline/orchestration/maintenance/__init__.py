"""Alerts and the retention of data and of Dagster's history."""
