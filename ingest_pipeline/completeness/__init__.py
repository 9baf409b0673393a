"""Proof that nothing is missing: verification, gaps and their repair, seals."""
