"""The report of a session: its figures, its pictures, its page."""
