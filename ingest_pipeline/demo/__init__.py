"""A simulated live session and the fake exporter that serves it."""
