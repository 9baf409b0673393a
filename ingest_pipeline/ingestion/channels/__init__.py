"""Channels read with the exporter: month by month, and the threads of a session's channels."""
