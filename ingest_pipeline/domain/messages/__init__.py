"""Messages: their fields, parts and words, and the row that each becomes."""
