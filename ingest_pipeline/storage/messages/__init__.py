"""The table of messages, its proofs, and the messages' sessions."""
