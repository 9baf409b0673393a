"""Proof that the table is complete: what is missing, what differs, and the seal of a session."""
