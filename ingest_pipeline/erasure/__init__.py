"""Erasure: what somebody asks to forget goes out of every place, and does not come back."""
