"""Assets and metadata of what messages say, and reports."""
