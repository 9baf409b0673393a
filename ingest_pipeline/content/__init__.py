"""Content of messages: extraction, highlights, clip files, in tables of their own."""
