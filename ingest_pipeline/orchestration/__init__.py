"""Dagster's side of the project: only this package and definitions.py import Dagster."""
