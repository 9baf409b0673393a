"""What the messages say: extraction, highlights, clip files; kept in tables of their own."""
