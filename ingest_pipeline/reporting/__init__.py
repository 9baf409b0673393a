"""A session for people: its report, and its messages as a file."""
