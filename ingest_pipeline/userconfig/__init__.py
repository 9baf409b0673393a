"""Files and settings that a user edits, and what is in force."""
