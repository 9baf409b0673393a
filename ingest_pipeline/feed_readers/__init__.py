"""Readers of the change feed for other tools: a dlt resource and a Singer tap, over the HTTP interface."""
