"""Erasure in files: exports, the quarantine, the spool and raw readings."""
