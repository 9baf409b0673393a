"""Where messages come from: the exporter and Discord itself."""
