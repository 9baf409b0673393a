"""The sources of messages: the exporter and Discord itself."""
