"""Tables of extracted content."""
