"""Mutants of the package, and what the suite makes of them; see `docs/testing.md`."""
