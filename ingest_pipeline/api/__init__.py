"""The HTTP interface: the database and the state of reading, as JSON, metrics and a page."""
