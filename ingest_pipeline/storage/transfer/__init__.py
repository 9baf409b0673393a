"""Whole databases: copied, backed up, restored and salvaged."""
