"""The ingest command: parse arguments, call a use case, print what it returns."""
