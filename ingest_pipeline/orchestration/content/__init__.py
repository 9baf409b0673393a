"""Assets and metadata of extracted content, and reports."""
