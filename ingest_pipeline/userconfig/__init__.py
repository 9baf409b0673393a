"""Files and settings that users edit, and the effective settings."""
