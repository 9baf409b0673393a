"""The only package, with definitions.py, that imports Dagster."""
