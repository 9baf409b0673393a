"""Erasure in the databases: tables, search index, free space, and the list of what was erased."""
