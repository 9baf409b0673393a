"""The Model Context Protocol server: questions of assistants, answered by the interface's read models."""
