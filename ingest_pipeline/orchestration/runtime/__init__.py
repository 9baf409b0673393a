"""Processes: code location, code server, web interface, executors and workers."""
