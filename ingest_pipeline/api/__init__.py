"""The HTTP interface: what is in the database and how reading is going, as JSON, metrics and a page."""
