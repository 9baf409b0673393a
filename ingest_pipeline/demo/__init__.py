"""A simulated live session and the stand-in exporter that serves it."""
