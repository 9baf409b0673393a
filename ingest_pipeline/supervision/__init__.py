"""The running stack: its parts, their processes, their output and how all of it stops."""
